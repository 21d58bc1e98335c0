"""IPMI by pyghmi, in a worker process that talks to one BMC and to nothing else.

pyghmi blocks, keeps global state and cannot be interrupted, so a worker is ended from outside when it
is late. It runs one call at a time.
"""

import socket
import struct
import time
from typing import Any

from pyghmi import exceptions
from pyghmi.ipmi.private import session as pyghmi_session

from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcAuthFailed, BmcRefused, BmcUnreachable
from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark

# Network functions, IPMI 2.0 table 5-1, and the commands that we use (appendix G).
_CHASSIS, _STORAGE = 0x00, 0x0A
_GET_CHASSIS_STATUS, _CHASSIS_CONTROL, _GET_RESTART_CAUSE = 0x01, 0x02, 0x07
_GET_SEL_INFO, _GET_SEL_ENTRY = 0x40, 0x43

_OK = 0x00
_FIRST_RECORD, _LAST_RECORD = 0x0000, 0xFFFF
_SYSTEM_EVENT = 0x02
"""Record type of a system event, IPMI 2.0 table 32-1."""

_RESTART_SENSORS = frozenset({0x1D, 0x1F})
"""System Boot / Restart Initiated, and OS Boot: IPMI 2.0 table 42-3."""

_MAX_RECORDS = 64
"""How many new records one look reads; a machine that starts writes a handful."""


def _receive(mysocket: socket.socket, size: int) -> Any:
    # pyghmi's own makes the socket non-blocking and then reads; its sender makes it blocking in
    # between, and the reader hangs. A flag on the one call cannot be undone by another thread.
    try:
        return mysocket.recvfrom(size, socket.MSG_DONTWAIT)
    except OSError:
        return None


pyghmi_session._io_recvfrom = _receive  # noqa: SLF001

_session: Any = None
_session_for: BmcEndpoint | None = None


def observe(endpoint: BmcEndpoint, since: SelMark | None) -> Observation:
    """Looks at the machine. Raises BmcUnreachable and BmcAuthFailed. Lost datagrams are resent."""
    status = _ask(endpoint, _CHASSIS, _GET_CHASSIS_STATUS)
    if status is None:
        power = PowerState.UNKNOWN
    else:
        power = PowerState.ON if status[0] & 1 else PowerState.OFF  # section 28.2
    cause = _ask(endpoint, _CHASSIS, _GET_RESTART_CAUSE)
    info = _ask(endpoint, _STORAGE, _GET_SEL_INFO)
    if info is None:
        return Observation(power, cause[0] & 0x0F if cause else None)
    entries, erased = struct.unpack_from("<xH2x4xI", info)  # section 31.2
    last = _entry(endpoint, _LAST_RECORD) if entries else None
    mark = SelMark(last[1].record if last else None, erased)
    events = _restart_events(endpoint, since, mark) if since else ()
    return Observation(power, cause[0] & 0x0F if cause else None, mark, events)


def send_once(endpoint: BmcEndpoint, command: ChassisCommand, seconds: float) -> CommandOutcome:
    """Sends a chassis command in one datagram and waits so long for its answer.

    Raises BmcRefused; BmcUnreachable and BmcAuthFailed only before anything was sent.
    """
    # A session that rested may be gone at the other end, and the datagram would be lost on it.
    _ask(endpoint, _CHASSIS, _GET_CHASSIS_STATUS)
    session = _login(endpoint)
    answers: list[dict[str, Any]] = []
    # Without `retry` pyghmi keeps no copy to send again, neither on a timer nor after a new login.
    # It does not wait either, unless the event loop is driven from here.
    session.raw_command(
        netfn=_CHASSIS,
        command=_CHASSIS_CONTROL,
        data=(int(command),),
        retry=False,
        callback=answers.append,
    )
    deadline = time.monotonic() + seconds
    while not answers and (left := deadline - time.monotonic()) > 0:
        session.wait_for_rsp(timeout=left)
    session.incommand = False
    if not answers:
        logout()
        return CommandOutcome.UNKNOWN
    if answers[0].get("code", _OK) != _OK:
        raise BmcRefused(int(answers[0]["code"]))
    return CommandOutcome.ACKNOWLEDGED


def logout() -> None:
    """Gives the BMC its session slot back."""
    global _session, _session_for  # noqa: PLW0603 - one session is what this process is for
    if _session is not None:
        session, _session, _session_for = _session, None, None
        try:
            session.logout()
        except exceptions.PyghmiException:
            return  # it is gone already


def _login(endpoint: BmcEndpoint) -> Any:
    global _session, _session_for  # noqa: PLW0603
    if _session is not None and (_session_for != endpoint or _session.broken):
        logout()
    if _session is None:
        try:
            _session = pyghmi_session.Session(
                bmc=endpoint.address,
                port=endpoint.port,
                userid=endpoint.username,
                password=endpoint.password,
                keepalive=False,
            )
        except exceptions.PyghmiException as error:
            if _is_refusal(str(error)):
                raise BmcAuthFailed from None
            raise BmcUnreachable from None
        _session_for = endpoint
    return _session


def _is_refusal(text: str) -> bool:
    """Whether pyghmi's text says that the login is wrong, rather than that nobody answers."""
    return any(word in text for word in ("password", "Unauthorized", "RAKP4", "privilege"))


def _ask(
    endpoint: BmcEndpoint, netfn: int, command: int, data: tuple[int, ...] = ()
) -> bytes | None:
    """A reading command, repeated when it is lost. None when the BMC answers that it has none."""
    for last_try in (False, True):
        try:
            answer = _login(endpoint).raw_command(netfn=netfn, command=command, data=data)
        except exceptions.PyghmiException:
            logout()
            if last_try:
                raise BmcUnreachable from None
            continue
        if answer.get("code", _OK) == _OK and "error" not in answer:
            return bytes(answer["data"])
        if answer.get("error") == "timeout":
            logout()
            continue
        return None
    raise BmcUnreachable


def _entry(endpoint: BmcEndpoint, record: int) -> tuple[int, RestartEvent, bool] | None:
    """A record of the log: the id after it, the record, and whether it says a start (31.5)."""
    request = struct.pack("<HHBB", 0, record, 0, 0xFF)
    answer = _ask(endpoint, _STORAGE, _GET_SEL_ENTRY, tuple(request))
    if answer is None:
        return None
    following, number, kind, timestamp, sensor_type = struct.unpack_from("<HHBI3xB", answer)
    starts = kind == _SYSTEM_EVENT and sensor_type in _RESTART_SENSORS
    return following, RestartEvent(number, sensor_type, timestamp), starts


def _restart_events(
    endpoint: BmcEndpoint, since: SelMark, now: SelMark
) -> tuple[RestartEvent, ...]:
    """The starts that were recorded between two marks."""
    same_log = since.erased == now.erased and since.last_record is not None
    if since == now or now.last_record is None:
        return ()
    record = _FIRST_RECORD
    if same_log and since.last_record is not None:
        known = _entry(endpoint, since.last_record)
        record = known[0] if known else _FIRST_RECORD
    events = []
    for _ in range(_MAX_RECORDS):
        found = _entry(endpoint, record) if record != _LAST_RECORD else None
        if found is None:
            break
        record, event, starts = found
        if starts:
            events.append(event)
    return tuple(events)
