"""A simulated machine: its power, and what its firmware records. No protocol in here."""

from collections.abc import Callable
from dataclasses import dataclass, field

CAUSED_BY_COMMAND, CAUSED_BY_BUTTON = 0x1, 0x3
"""Restart causes, IPMI 2.0 section 28.11."""

POWERED_UP, HARD_RESET = 0x00, 0x01
"""Offsets of System Boot / Restart Initiated, IPMI 2.0 table 42-3."""

NO_OVERRIDE = bytes(5)
"""Boot flags that leave the choice to the machine, IPMI 2.0 table 28-14, parameter 5."""

_VALID, _PERSISTENT = 0x80, 0x40
"""In the first byte of the boot flags: they count; for every start, not only for the next."""

_DEVICE, _FORCE_PXE = 0x3C, 0x04
"""In the second byte: what is booted, and that it is the network."""

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
    shutdown_seconds: float = 1.0
    """How long the operating system takes to end when it is asked to."""
    on: bool = True
    boot_flags: bytes = NO_OVERRIDE
    """What the next start boots from, 5 bytes."""
    starts: Callable[[bool], None] = lambda _network: None
    """Is told of every start, and whether it boots from the network."""
    stops: Callable[[], None] = lambda: None
    """Is told when what runs on it is gone."""
    restart_cause: int = CAUSED_BY_BUTTON
    records: list[bytes] = field(default_factory=list)
    """The event log: what stands behind the record id, 14 bytes each (table 32-1)."""
    first_record: int = 1
    """Id of the first record."""
    _next: tuple[float, Callable[[float], None]] | None = None
    """What happens next by itself, and when; a command puts another thing in its place."""

    def advance(self) -> None:
        """Lets happen what is due by now, each thing at its own time however late we look."""
        while self._next is not None and self._next[0] <= self.clock():
            (at, happen), self._next = self._next, None
            happen(at)

    def power_on(self) -> None:
        """Switches it on; one that is on stays as it is."""
        if not self.on:
            self._start(self.clock(), POWERED_UP)

    def power_off(self) -> None:
        """Takes its power away."""
        self.on = False
        self._next = None
        self.stops()

    def shut_down(self) -> None:
        """Asks its operating system to end, after which it is off."""
        if self.on:
            self._next = (self.clock() + self.shutdown_seconds, lambda _at: self.power_off())

    def power_cycle(self) -> None:
        """Takes its power away for a moment."""
        self.power_off()
        self._next = (self.clock() + self.off_seconds, lambda at: self._start(at, POWERED_UP))

    def reset(self) -> None:
        """Starts it again without power loss."""
        self._start(self.clock(), HARD_RESET)

    def add_record(self, content: bytes) -> int:
        """Adds 14 bytes to the event log, at the cost of the oldest record, and answers the id."""
        self.records.append(content)
        if len(self.records) > MAX_RECORDS:
            del self.records[0]
            self.first_record += 1
        return self.first_record + len(self.records) - 1

    def _start(self, at: float, offset: int) -> None:
        self.stops()
        self.on = True
        self.restart_cause = CAUSED_BY_COMMAND
        valid, device = self.boot_flags[0] & _VALID, self.boot_flags[1] & _DEVICE
        self.starts(bool(valid) and device == _FORCE_PXE)
        if not self.boot_flags[0] & _PERSISTENT:
            self.boot_flags = NO_OVERRIDE
        self._next = (at + self.boot_seconds, lambda at: self._record_start(at, offset))

    def _record_start(self, at: float, offset: int) -> None:
        # Record type 02h, time, generator 0001h (firmware), event message revision 04h, sensor type
        # 1Dh, sensor number, sensor-specific event: IPMI 2.0 tables 32-1 and 29-5.
        time = int(at).to_bytes(4, "little")
        event = bytes([0x01, 0x00, 0x04, 0x1D, 0x01, 0x6F, offset, 0xFF, 0xFF])
        self.add_record(b"\x02" + time + event)
