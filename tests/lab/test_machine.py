from dataclasses import dataclass

import pytest

from lab.machine import HARD_RESET, MAX_RECORDS, POWERED_UP, Machine


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(clock: Clock) -> Machine:
    return Machine(clock, boot_seconds=3, off_seconds=1, shutdown_seconds=2)


def at(machine: Machine, clock: Clock, now: float) -> list[tuple[int, int]]:
    """Time and offset of the records at this time."""
    clock.now = now
    machine.advance()
    return [(int.from_bytes(r[1:5], "little"), r[11]) for r in machine.records]


def test_a_reset_is_recorded_when_it_has_started(machine: Machine, clock: Clock) -> None:
    machine.reset()
    assert at(machine, clock, 1002.9) == []
    assert at(machine, clock, 1003) == [(1003, HARD_RESET)]


def test_a_power_cycle_takes_place_at_its_own_time_however_late_we_look(
    machine: Machine, clock: Clock
) -> None:
    machine.power_cycle()
    assert not machine.on
    assert at(machine, clock, 1060) == [(1004, POWERED_UP)]
    assert machine.on


def test_a_second_reset_before_the_start_is_over_leaves_one_record(
    machine: Machine, clock: Clock
) -> None:
    machine.reset()
    at(machine, clock, 1002)
    machine.reset()
    assert at(machine, clock, 1060) == [(1005, HARD_RESET)]


def test_a_machine_switched_on_during_a_power_cycle_starts_once(
    machine: Machine, clock: Clock
) -> None:
    machine.power_cycle()
    machine.power_on()
    assert at(machine, clock, 1060) == [(1003, POWERED_UP)]


def test_a_machine_that_is_shut_down_is_on_until_it_is_done(machine: Machine, clock: Clock) -> None:
    machine.shut_down()
    at(machine, clock, 1001.9)
    assert machine.on
    at(machine, clock, 1002)
    assert not machine.on


def test_power_off_during_a_start_leaves_no_record(machine: Machine, clock: Clock) -> None:
    machine.reset()
    machine.power_off()
    assert at(machine, clock, 1060) == []


def test_the_event_log_is_bounded_and_keeps_its_ids(machine: Machine) -> None:
    ids = [machine.add_record(bytes(14)) for _ in range(MAX_RECORDS + 3)]
    assert ids == [*range(1, MAX_RECORDS + 4)]
    assert (len(machine.records), machine.first_record) == (MAX_RECORDS, 4)
