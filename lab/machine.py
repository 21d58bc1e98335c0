"""A simulated machine: its power, and what its firmware records. No protocol in here."""

from collections.abc import Callable
from dataclasses import dataclass, field

CAUSED_BY_COMMAND, CAUSED_BY_BUTTON = 0x1, 0x3
"""Restart causes, IPMI 2.0 section 28.11."""

POWERED_UP, HARD_RESET = 0x00, 0x01
"""Offsets of System Boot / Restart Initiated, IPMI 2.0 table 42-3."""

MAX_RECORDS = 512


@dataclass
class Machine:
    """One machine. Time passes only when `advance` is called."""

    clock: Callable[[], float]
    """Seconds since the Unix epoch."""
    boot_seconds: float = 3.0
    """From the start to the record of it in the event log."""
    off_seconds: float = 1.0
    """How long a power cycle takes the power away."""
    on: bool = True
    boot_device: str = "default"
    restart_cause: int = CAUSED_BY_BUTTON
    records: list[bytes] = field(default_factory=list)
    """The event log: what stands behind the record id, 14 bytes each (table 32-1)."""
    first_record: int = 1
    """Id of the first record."""
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def advance(self) -> None:
        """Lets happen what is due by now."""
        now = self.clock()
        due = [each for each in self._due if each[0] <= now]
        self._due = [each for each in self._due if each[0] > now]
        for _, happen in sorted(due, key=lambda each: each[0]):
            happen()

    def power_on(self) -> None:
        """Switches it on; one that is on stays as it is."""
        if not self.on:
            self._start(POWERED_UP)

    def power_off(self) -> None:
        """Takes its power away."""
        self.on = False
        self._due.clear()

    def power_cycle(self) -> None:
        """Takes its power away for a moment."""
        self.power_off()
        self._after(self.off_seconds, lambda: self._start(POWERED_UP))

    def reset(self) -> None:
        """Starts it again without power loss."""
        self._start(HARD_RESET)

    def add_record(self, content: bytes) -> int:
        """Adds 14 bytes to the event log, at the cost of the oldest record, and answers the id."""
        self.records.append(content)
        if len(self.records) > MAX_RECORDS:
            del self.records[0]
            self.first_record += 1
        return self.first_record + len(self.records) - 1

    def _start(self, offset: int) -> None:
        self.on = True
        self.restart_cause = CAUSED_BY_COMMAND
        self._after(self.boot_seconds, lambda: self._record_start(offset))

    def _record_start(self, offset: int) -> None:
        # Record type 02h, time, generator 0001h (firmware), event message revision 04h, sensor type
        # 1Dh, sensor number, sensor-specific event: IPMI 2.0 tables 32-1 and 29-5.
        time = int(self.clock()).to_bytes(4, "little")
        event = bytes([0x01, 0x00, 0x04, 0x1D, 0x01, 0x6F, offset, 0xFF, 0xFF])
        self.add_record(b"\x02" + time + event)

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        self._due.append((self.clock() + seconds, happen))
