"""A BMC's sensors and events, read and decoded by pyghmi.

pyghmi's decoders ask the BMC in between, and wait in place. So they run in a thread, and what they
ask goes through the session of the event loop, as every other request.
"""

import asyncio
import concurrent.futures
import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from pyghmi import constants, exceptions
from pyghmi.ipmi import command, events, sdr
from pyghmi.ipmi.oem import generic
from pyghmi.ipmi.private.util import get_ipmi_error

from services.server_ops.adapters.bmc.ipmi.session import Answer
from services.server_ops.bmc.errors import BmcUnsupported
from services.server_ops.bmc.event import LogEvent
from services.server_ops.bmc.sensor import Health, Sensor, Thresholds

T = TypeVar("T")

_SENSOR, _STORAGE = 0x04, 0x0A
_GET_SDR_INFO = 0x20
_GET_THRESHOLDS, _GET_READING = 0x27, 0x2D
"""Section 33.9, 35.9, 35.14."""

_BY_THRESHOLDS = 0x01
"""Event/reading type of sensors that have thresholds: table 42-1."""

CLOCK_IS_SET = 0x20000000
"""Times before this one count from the start of the BMC: section 37.1."""
_NO_TIME = 0xFFFFFFFF

_BOUNDS = (
    "lower_non_critical",
    "lower_critical",
    "lower_non_recoverable",
    "upper_non_critical",
    "upper_critical",
    "upper_non_recoverable",
)
"""In the order of Get Sensor Thresholds' answer."""

_DIGITS = 6
"""Significant digits of a reading: its raw value has one byte."""


class Ask(Protocol):
    """Asks the BMC, repeatedly until it answers."""

    async def __call__(self, netfn: int, command: int, data: bytes = b"", lun: int = 0) -> Answer:
        """The answer."""
        ...


class _NothingShared(dict[Any, Any]):
    """pyghmi shares records between BMCs whose firmware and time of change are alike. Two machines
    may be alike in these and still not have the same sensors: here nothing is kept.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keeps nothing."""


sdr.shared_sdrs = _NothingShared()


class _Line:
    """What pyghmi takes for a session: asks from a thread through the event loop."""

    def __init__(self, ask: Ask, loop: asyncio.AbstractEventLoop) -> None:
        self._ask = ask
        self._loop = loop
        self._asked: concurrent.futures.Future[Answer] | None = None
        self._ended = False

    def raw_command(
        self, netfn: int, command: int, data: Any = (), rslun: int = 0, **_others: Any
    ) -> dict[str, Any]:
        """The answer in pyghmi's form."""
        if self._ended:
            raise concurrent.futures.CancelledError
        asked = asyncio.run_coroutine_threadsafe(
            self._coroutine(netfn, command, bytes(bytearray(data)), rslun), self._loop
        )
        self._asked = asked
        answer = asked.result()
        response = {
            "netfn": netfn + 1,
            "command": command,
            "code": answer.code,
            "data": bytearray(answer.data),
        }
        error = get_ipmi_error(response)
        return {**response, "error": error} if error else response

    def end(self) -> None:
        """Lets the thread end at its next question."""
        self._ended = True
        if self._asked is not None:
            self._asked.cancel()

    async def _coroutine(self, netfn: int, command: int, data: bytes, lun: int) -> Answer:
        return await self._ask(netfn, command, data, lun)


class SensorRecords:
    """The Sensor Data Records of one BMC, read once and again when they change."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        # pyghmi's Command without its constructor, which logs in. Of the vendors' own extensions
        # none is used: some go other ways than IPMI.
        self._command: Any = object.__new__(command.Command)
        self._command._oem = generic.OEMHandler(None, None)  # noqa: SLF001
        self._command._oemknown = True  # noqa: SLF001
        self._command.oem_init = lambda: None
        self._records: Any = None
        self._version = b""
        self._thresholds: dict[str, Thresholds] = {}

    async def sensors(self) -> tuple[Sensor, ...]:
        """Every sensor that can be read. Raises BmcUnsupported."""
        await self._load()
        if self._records is None:
            raise BmcUnsupported
        return await self._in_thread(self._read)

    async def decode(self, records: list[bytes], offset: float | None) -> tuple[LogEvent, ...]:
        """Records of the event log. The BMC's clock is `offset` seconds ahead of ours, if set."""
        await self._load()
        return await self._in_thread(lambda: self._decode(records, offset))

    async def _load(self) -> None:
        info = await self._ask(_STORAGE, _GET_SDR_INFO)
        if info.code or (self._records is not None and info.data == self._version):
            return
        self._thresholds = {}
        try:
            self._records = await self._in_thread(lambda: sdr.SDR(self._command))
        except (exceptions.PyghmiException, NotImplementedError, LookupError, struct.error):
            self._records = None
        self._version = info.data

    async def _in_thread(self, work: Callable[[], T]) -> T:
        line = _Line(self._ask, asyncio.get_running_loop())
        self._command.ipmi_session = line
        try:
            return await asyncio.to_thread(work)
        finally:
            line.end()

    def _read(self) -> tuple[Sensor, ...]:
        found = []
        for key in self._records.get_sensor_numbers():
            entry = self._records.sensors[key]
            answer = self._command.raw_command(
                _SENSOR, _GET_READING, data=(entry.sensor_number,), rslun=entry.sensor_lun
            )
            if "error" in answer or len(answer["data"]) < 3:  # noqa: PLR2004 - section 35.14
                continue  # it is listed, and is not there
            reading = entry.decode_sensor_reading(self._command, answer["data"])
            found.append(_sensor(reading, self._bounds(key, entry)))
        return tuple(found)

    def _bounds(self, key: str, entry: Any) -> Thresholds:
        if key not in self._thresholds:
            self._thresholds[key] = self._read_bounds(entry)
        return self._thresholds[key]

    def _read_bounds(self, entry: Any) -> Thresholds:
        if entry.reading_type != _BY_THRESHOLDS or entry.linearization is None:
            return Thresholds()
        answer = self._command.raw_command(
            _SENSOR, _GET_THRESHOLDS, data=(entry.sensor_number,), rslun=entry.sensor_lun
        )
        data = answer["data"]
        if "error" in answer or len(data) <= len(_BOUNDS):
            return Thresholds()
        return Thresholds(
            **{
                name: _rounded(entry.decode_value(self._command, _signed(entry, data[1 + bit])))
                for bit, name in enumerate(_BOUNDS)
                if data[0] & 1 << bit
            }
        )

    def _decode(self, records: list[bytes], offset: float | None) -> tuple[LogEvent, ...]:
        handler = events.EventHandler(self._records or _NoRecords(), self._command)
        return tuple(
            _event(handler._sel_decode(record), offset)  # noqa: SLF001 - of one record
            for record in records
        )


class _NoRecords:
    sensors: dict[str, Any] = {}  # noqa: RUF012 - empty for ever


def _sensor(reading: Any, thresholds: Thresholds) -> Sensor:
    here = not reading.unavailable
    return Sensor(
        name=str(reading.name),
        type=str(reading.type),
        value=_rounded(reading.value) if here and reading.value is not None else None,
        unit=str(reading.units).strip(),
        health=_health(reading.health) if here else Health.UNKNOWN,
        states=tuple(str(state) for state in reading.states) if here else (),
        thresholds=thresholds,
    )


def _health(flags: int) -> Health:
    if flags >= constants.Health.Critical:
        return Health.CRITICAL
    return Health.WARNING if flags >= constants.Health.Warning else Health.OK


def _signed(entry: Any, raw: int) -> int:
    if entry.numeric_format == 2:  # noqa: PLR2004 - table 43-1, byte 21
        return int(sdr.twos_complement(raw, 8))
    return int(sdr.ones_complement(raw, 8)) if entry.numeric_format == 1 else raw


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _event(decoded: dict[str, Any], offset: float | None) -> LogEvent:
    text = str(decoded.get("event") or "")
    detail = str(decoded.get("event_data") or "")
    raw = decoded.get("oemdata")
    if not text and raw is not None:
        text = f"Record of the manufacturer: {bytes(raw).hex()}"
    return LogEvent(
        record=int(decoded["record_id"]),
        time=_time(decoded.get("timecode"), offset),
        sensor=str(decoded.get("component") or ""),
        type=str(decoded.get("component_type") or ""),
        text=f"{text}: {detail}" if text and detail else text or detail or "Unknown event",
        health=_health(decoded.get("severity", constants.Health.Ok)),
        asserted=not decoded.get("deassertion", False),
    )


def _time(timecode: int | None, offset: float | None) -> datetime | None:
    if timecode is None or timecode < CLOCK_IS_SET or timecode == _NO_TIME:
        return None
    # Whole seconds are what the BMC gave: an offset below that is only the way there.
    ahead = timedelta(seconds=round(offset or 0.0))
    return datetime.fromtimestamp(timecode, UTC) - ahead
