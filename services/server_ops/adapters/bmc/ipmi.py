"""What we ask of a BMC over IPMI: the calls that a worker process runs, one at a time.

A call may take for ever: the worker is ended from outside when it is late.
"""

import itertools
import struct
import time

from services.server_ops.adapters.bmc.event_log import Record, read_record
from services.server_ops.adapters.bmc.ipmi_session import Answer, IpmiSession, NotSent, Unanswered
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcRefused, BmcUnreachable
from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark

# Network functions, IPMI 2.0 table 5-1, and the commands that we use (appendix G).
_CHASSIS, _STORAGE = 0x00, 0x0A
_GET_CHASSIS_STATUS, _CHASSIS_CONTROL, _GET_RESTART_CAUSE = 0x01, 0x02, 0x07
_GET_SEL_INFO, _GET_SEL_ENTRY = 0x40, 0x43

_OK = 0x00
_BUSY = frozenset({0xC0, 0xC3, 0xCE, 0xD2})
"""Completion codes (table 5-2) that say "not now": node busy, timeout, response not available,
initialization in progress. Any other one says that the BMC does not have it."""

_FIRST_RECORD, _LAST_RECORD = 0x0000, 0xFFFF

_MAX_RECORDS = 64
"""How many new records one look reads; a machine that starts writes a handful."""

_RESEND_SECONDS = (0.4, 0.6, 0.9, 1.4, 2.0)
"""How long a reading command waits each time before it is sent again. After the last time the
session is taken for lost."""

_BUSY_PAUSE_SECONDS = 0.2

_session: IpmiSession | None = None


def observe(endpoint: BmcEndpoint, since: SelMark | None) -> Observation:
    """Looks at the machine. Raises BmcAuthFailed; waits for a BMC that does not answer."""
    status = _read(endpoint, _CHASSIS, _GET_CHASSIS_STATUS)
    answer = _read(endpoint, _CHASSIS, _GET_RESTART_CAUSE)
    cause = answer[0] & 0x0F if answer else None  # section 28.11
    mark = _mark(endpoint)
    events = _restart_events(endpoint, since, mark) if since and mark else ()
    return Observation(_power(status), cause, mark, events)


def prepare(endpoint: BmcEndpoint) -> None:
    """Logs in, and makes sure that the session lives: one that rested may be gone at the other end.

    Raises BmcAuthFailed; waits for a BMC that does not answer.
    """
    _read(endpoint, _CHASSIS, _GET_CHASSIS_STATUS)


def send_once(endpoint: BmcEndpoint, command: ChassisCommand, seconds: float) -> CommandOutcome:
    """Sends a chassis command in one datagram and waits so long for its answer.

    There must be a session, see `prepare`: here is no login. Raises BmcRefused, and BmcUnreachable
    when the command did not leave.
    """
    if _session is None or _session.endpoint != endpoint:
        raise BmcUnreachable
    try:
        answer = _session.ask(_CHASSIS, _CHASSIS_CONTROL, bytes([command]), seconds=seconds)
    except NotSent:
        logout()
        raise BmcUnreachable from None
    except Unanswered:
        # The answer may still come: nothing that follows may be mistaken for it.
        logout()
        return CommandOutcome.UNKNOWN
    if answer.code != _OK:
        raise BmcRefused(answer.code)
    return CommandOutcome.ACKNOWLEDGED


def logout() -> None:
    """Gives the BMC its session slot back."""
    global _session  # noqa: PLW0603 - one session is what this process is for
    if _session is not None:
        _session.logout()
        _session = None


def _power(status: bytes | None) -> PowerState:
    if not status:
        return PowerState.UNKNOWN
    return PowerState.ON if status[0] & 1 else PowerState.OFF  # section 28.2


def _login(endpoint: BmcEndpoint) -> IpmiSession:
    global _session  # noqa: PLW0603
    if _session is not None and (_session.endpoint != endpoint or not _session.alive):
        logout()
    if _session is None:
        _session = IpmiSession(endpoint)
    return _session


def _read(endpoint: BmcEndpoint, netfn: int, command: int, data: bytes = b"") -> bytes | None:
    """A reading command, repeated until it is answered. None when the BMC does not have it."""
    for seconds in itertools.cycle(_RESEND_SECONDS):
        answer = _ask(_login(endpoint), netfn, command, data, seconds)
        if answer is None:
            if seconds == _RESEND_SECONDS[-1]:
                logout()
        elif answer.code in _BUSY:
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return answer.data if answer.code == _OK else None
    raise AssertionError


def _ask(
    session: IpmiSession, netfn: int, command: int, data: bytes, seconds: float
) -> Answer | None:
    try:
        return session.ask(netfn, command, data, seconds=seconds)
    except (NotSent, Unanswered):
        return None


def _mark(endpoint: BmcEndpoint) -> SelMark | None:
    """Where the log ends; None when the BMC has no log that can be read."""
    info = _read(endpoint, _STORAGE, _GET_SEL_INFO)
    if info is None or len(info) < 13:  # noqa: PLR2004 - section 31.2
        return None
    entries, erased = struct.unpack_from("<xH2x4xI", info)
    if not entries:
        return SelMark(None, erased)
    last = _entry(endpoint, _LAST_RECORD)
    # Without the last record's id nothing tells old records from new ones: better no log.
    return SelMark(last.number, erased) if last else None


def _entry(endpoint: BmcEndpoint, number: int) -> Record | None:
    """A record of the log, by section 31.5: whole, so no reservation is needed."""
    request = struct.pack("<HHBB", 0, number, 0, 0xFF)
    answer = _read(endpoint, _STORAGE, _GET_SEL_ENTRY, request)
    return read_record(answer) if answer else None


def _restart_events(
    endpoint: BmcEndpoint, since: SelMark, now: SelMark
) -> tuple[RestartEvent, ...]:
    """The starts that were recorded between two marks."""
    if since == now or now.last_record is None:
        return ()
    number = _FIRST_RECORD  # right for a log that was empty, or was emptied, at the mark
    if since.erased == now.erased and since.last_record is not None:
        known = _entry(endpoint, since.last_record)
        if known is None:
            return ()  # it was deleted: what is new cannot be told
        number = known.following
    events = []
    for _ in range(_MAX_RECORDS):
        record = _entry(endpoint, number) if number != _LAST_RECORD else None
        if record is None:
            break
        number = record.following
        if record.says_start:
            events.append(RestartEvent(record.number, record.sensor_type, record.timestamp))
    return tuple(events)
