"""One BMC over IPMI 2.0, inside a worker process. One call at a time, but for an attached console.

A call may take for ever: whoever makes it ends it when it is late.
"""

import asyncio
import itertools
import struct
import time
from uuid import UUID

from services.server_ops.adapters.bmc.ipmi.event_log import Record, read_record
from services.server_ops.adapters.bmc.ipmi.sensor_records import CLOCK_IS_SET, SensorRecords
from services.server_ops.adapters.bmc.ipmi.serial import SerialOverLan
from services.server_ops.adapters.bmc.ipmi.session import (
    Answer,
    IpmiSession,
    NotSent,
    Unanswered,
    log_in,
    timed_login,
)
from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.contact import Stage, StageResult, stages
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import (
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
    LogErased,
    Trouble,
)
from services.server_ops.bmc.event import LogCursor, LogPage
from services.server_ops.bmc.identity import Feature, Identity
from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark
from services.server_ops.bmc.sensor import Sensor

# Network functions, IPMI 2.0 table 5-1, and the commands that we use (appendix G).
_CHASSIS, _APPLICATION, _STORAGE = 0x00, 0x06, 0x0A
_GET_CHASSIS_STATUS, _CHASSIS_CONTROL, _GET_RESTART_CAUSE = 0x01, 0x02, 0x07
_GET_DEVICE_ID, _GET_SYSTEM_GUID = 0x01, 0x37
_GET_SEL_INFO, _GET_SEL_ENTRY, _GET_SEL_TIME = 0x40, 0x43, 0x48

_SET_BOOT_OPTIONS = 0x08
_BOOT_FLAGS = 5
_VALID, _PERSISTENT, _UEFI = 0x80, 0x40, 0x20
_DEVICES = {BootDevice.NETWORK: 0x01 << 2, BootDevice.DISK: 0x02 << 2}
"""Boot option parameter 5, table 28-14: bits of its first byte, and the device in its second."""

_KEEP_FLAGS = bytes([3, 0x08])
"""Parameter 3: the flags are kept although no chassis command comes within 60 s."""

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

_SILENCE_SECONDS = 10.0
"""One question is asked for so long, new logins included; what consists of many may take longer."""

_BUSY_PAUSE_SECONDS = 0.2

_SENSOR_DEVICE, _LOG_DEVICE = 0x01, 0x04
"""Bits of Additional Device Support in Get Device ID, section 20.1."""

_TRANSPORT, _GET_SOL_SETTINGS = 0x0C, 0x22
_SERIAL_ENABLED = bytes([0x0E, 1, 0, 0])
"""Get SOL Configuration Parameters, section 26.3: of this channel, number 1 of table 26-5, SOL
Enable."""


class IpmiBmc:
    """One BMC and the session with it, which is made when it is needed."""

    def __init__(self, endpoint: BmcEndpoint) -> None:
        self.endpoint = endpoint
        self.trouble = Trouble.NO_ANSWER
        """Why the login did not work yet: what a call that is ended for being late failed of."""
        self._session: IpmiSession | None = None
        self._logging_in = asyncio.Lock()
        self._records = SensorRecords(self._answer)

    async def power(self) -> PowerState:
        """Whether the machine has power."""
        return _power(await self._read(_CHASSIS, _GET_CHASSIS_STATUS))

    async def observe(self, since: SelMark | None) -> Observation:
        """Looks at the machine. Raises BmcAuthFailed; waits for a BMC that does not answer."""
        power = await self.power()
        answer = await self._read(_CHASSIS, _GET_RESTART_CAUSE)
        cause = answer[0] & 0x0F if answer else None  # section 28.11
        mark = await self._mark()
        events = await self._restart_events(since, mark) if since and mark else ()
        return Observation(power, cause, mark, events)

    async def prepare(self) -> None:
        """Logs in, and makes sure that the session lives: one that rested may be gone over there.

        Raises BmcAuthFailed; waits for a BMC that does not answer.
        """
        await self._read(_CHASSIS, _GET_CHASSIS_STATUS)

    async def send_once(self, command: ChassisCommand, seconds: float) -> CommandOutcome:
        """Sends a chassis command in one datagram and waits so long for its answer.

        There must be a session, see `prepare`: here is no login. Raises BmcRefused, and
        BmcUnreachable when the command did not leave.
        """
        session = self._session
        if session is None:
            raise BmcUnreachable
        try:
            answer = await session.ask(
                _CHASSIS, _CHASSIS_CONTROL, bytes([command]), seconds=seconds
            )
        except NotSent:
            self.drop()
            raise BmcUnreachable from None
        except Unanswered:
            return CommandOutcome.UNKNOWN
        if answer.code != _OK:
            raise BmcRefused(answer.code)
        return CommandOutcome.ACKNOWLEDGED

    async def set_boot(self, override: BootOverride) -> None:
        """Sets the boot flags, section 28.12. Raises BmcRefused."""
        flags = _VALID if override.once else _VALID | _PERSISTENT
        flags |= _UEFI if override.uefi else 0
        for parameter in (
            _KEEP_FLAGS,  # a BMC may not have it: then it must be restarted within a minute
            bytes([_BOOT_FLAGS, flags, _DEVICES[override.device], 0, 0, 0]),
        ):
            answer = await self._answer(_CHASSIS, _SET_BOOT_OPTIONS, parameter)
        if answer.code != _OK:
            raise BmcRefused(answer.code)

    async def identify(self) -> Identity:
        """What the BMC is, and what it is seen to have."""
        device = await self._read(_APPLICATION, _GET_DEVICE_ID)
        if device is None or len(device) < 11:  # noqa: PLR2004 - section 20.1
            raise BmcUnsupported
        guid = await self._read(_APPLICATION, _GET_SYSTEM_GUID)
        features = set()
        if await self._read(_CHASSIS, _GET_RESTART_CAUSE):
            features.add(Feature.RESTART_CAUSE)
        if device[5] & _LOG_DEVICE and await self._mark() is not None:
            features.add(Feature.EVENT_LOG)
        if device[5] & _SENSOR_DEVICE:
            features.add(Feature.SENSORS)
        # Asked of its settings: ipmi_sim ends when it is asked which payloads it has.
        serial = await self._read(_TRANSPORT, _GET_SOL_SETTINGS, _SERIAL_ENABLED)
        if serial and len(serial) > 1 and serial[1] & 1:
            features.add(Feature.SERIAL_CONSOLE)
        return Identity(
            firmware=f"{device[2] & 0x7F}.{device[3]:02x}",
            manufacturer=str(int.from_bytes(device[6:9], "little") & 0xFFFFF),
            product=str(int.from_bytes(device[9:11], "little")),
            version=f"{device[4] & 0x0F}.{device[4] >> 4}",
            # Least significant byte first, section 20.8.
            guid=str(UUID(bytes=guid[:16][::-1])) if guid and len(guid) >= 16 else "",  # noqa: PLR2004
            features=frozenset(features),
        )

    async def sensors(self) -> tuple[Sensor, ...]:
        """Every sensor that can be read. Raises BmcUnsupported."""
        return await self._records.sensors()

    async def events(self, after: LogCursor | None, limit: int) -> LogPage:
        """Records of the event log. Raises BmcUnsupported and LogErased."""
        info = await self._read(_STORAGE, _GET_SEL_INFO)
        if info is None or len(info) < 13:  # noqa: PLR2004 - section 31.2
            raise BmcUnsupported
        total, erased = struct.unpack_from("<xH2x4xI", info)
        if after is not None and after.erased != erased:
            raise LogErased
        offset = _clock_offset(await self._read(_STORAGE, _GET_SEL_TIME))
        records: list[bytes] = []
        number = after.record if after else _FIRST_RECORD
        while total and number != _LAST_RECORD and len(records) < limit:
            answer = await self._read(_STORAGE, _GET_SEL_ENTRY, _whole_record(number))
            if answer is None or len(answer) < 18:  # noqa: PLR2004 - section 31.5
                number = _LAST_RECORD  # it was deleted: nothing says what follows
                break
            number = int.from_bytes(answer[:2], "little")
            records.append(answer[2:18])
        more = total > 0 and number != _LAST_RECORD
        return LogPage(
            events=await self._records.decode(records, offset) if records else (),
            following=LogCursor(number, erased) if more else None,
            total=total,
            clock_offset_seconds=offset,
        )

    async def test(self, seconds: float) -> tuple[StageResult, ...]:
        """Reaches the BMC anew, stage by stage, each within the time that is left."""
        self.drop()  # it gives one session to us
        begin = time.monotonic()
        reached: dict[Stage, float] = {}
        wrong = False
        try:
            async with asyncio.timeout(seconds):
                wrong = await timed_login(self.endpoint, reached)
        except TimeoutError:
            pass
        return stages(reached, begin, wrong=wrong)

    async def attach(self, take_over: bool) -> SerialOverLan:
        """The serial console. Raises BmcUnsupported and ConsoleTaken."""
        await self.prepare()
        assert self._session is not None  # noqa: S101 - prepared
        console = SerialOverLan(self._session)
        await console.attach(take_over=take_over)
        return console

    @property
    def attached(self) -> bool:
        """Whether the serial console is."""
        return self._session is not None and self._session.has_serial

    def drop(self) -> None:
        """Gives the BMC its session slot back."""
        if self._session is not None:
            self._session.logout()
            self._session = None

    async def _login(self) -> IpmiSession:
        async with self._logging_in:
            if self._session is not None and not self._session.alive:
                self.drop()
            if self._session is None:
                self._session = await log_in(self.endpoint, self._tell)
                self.trouble = Trouble.NO_ANSWER
            return self._session

    def _tell(self, trouble: Trouble) -> None:
        self.trouble = trouble

    async def _read(self, netfn: int, command: int, data: bytes = b"") -> bytes | None:
        """A reading command, repeated until it is answered. None when the BMC does not have it."""
        answer = await self._answer(netfn, command, data)
        return answer.data if answer.code == _OK else None

    async def _answer(self, netfn: int, command: int, data: bytes = b"", lun: int = 0) -> Answer:
        """The answer to a reading command, which is repeated until there is one."""
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                return await self._ask(netfn, command, data, lun)
        except TimeoutError:
            self.drop()
            raise BmcUnreachable(self.trouble) from None

    async def _ask(self, netfn: int, command: int, data: bytes, lun: int) -> Answer:
        for seconds in itertools.cycle(_RESEND_SECONDS):
            session = await self._login()
            try:
                answer = await session.ask(netfn, command, data, seconds=seconds, lun=lun)
            except (NotSent, Unanswered):
                if seconds == _RESEND_SECONDS[-1]:
                    self.drop()
                continue
            if answer.code not in _BUSY:
                return answer
            await asyncio.sleep(_BUSY_PAUSE_SECONDS)
        raise AssertionError

    async def _mark(self) -> SelMark | None:
        """Where the log ends; None when the BMC has no log that can be read."""
        info = await self._read(_STORAGE, _GET_SEL_INFO)
        if info is None or len(info) < 13:  # noqa: PLR2004 - section 31.2
            return None
        entries, erased = struct.unpack_from("<xH2x4xI", info)
        if not entries:
            return SelMark(None, erased)
        last = await self._entry(_LAST_RECORD)
        # Without the last record's id nothing tells old records from new ones: better no log.
        return SelMark(last.number, erased) if last else None

    async def _entry(self, number: int) -> Record | None:
        """A record of the log."""
        answer = await self._read(_STORAGE, _GET_SEL_ENTRY, _whole_record(number))
        return read_record(answer) if answer else None

    async def _restart_events(self, since: SelMark, now: SelMark) -> tuple[RestartEvent, ...]:
        """The starts that were recorded between two marks."""
        if since == now or now.last_record is None:
            return ()
        number = _FIRST_RECORD  # right for a log that was empty, or was emptied, at the mark
        if since.erased == now.erased and since.last_record is not None:
            known = await self._entry(since.last_record)
            if known is None:
                return ()  # it was deleted: what is new cannot be told
            number = known.following
        events = []
        for _ in range(_MAX_RECORDS):
            record = await self._entry(number) if number != _LAST_RECORD else None
            if record is None:
                break
            number = record.following
            if record.says_start:
                events.append(RestartEvent(record.number, record.sensor_type, record.timestamp))
        return tuple(events)


def _power(status: bytes | None) -> PowerState:
    if not status:
        return PowerState.UNKNOWN
    return PowerState.ON if status[0] & 1 else PowerState.OFF  # section 28.2


def _clock_offset(clock: bytes | None) -> float | None:
    """How far a clock, by section 31.10, is ahead of ours; None when it is not set."""
    if clock is None or len(clock) < 4:  # noqa: PLR2004
        return None
    (seconds,) = struct.unpack_from("<I", clock)
    return seconds - time.time() if seconds >= CLOCK_IS_SET else None


def _whole_record(number: int) -> bytes:
    """The request for a record of the log, by section 31.5: whole, so no reservation is needed."""
    return struct.pack("<HHBB", 0, number, 0, 0xFF)
