"""What is made of a BMC's answers, strange ones included."""

import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.server_ops.adapters.bmc.ipmi import bmc as ipmi
from services.server_ops.adapters.bmc.ipmi.bmc import IpmiBmc
from services.server_ops.adapters.bmc.ipmi.session import Answer, NotSent, Unanswered
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcRefused, BmcUnreachable
from services.server_ops.bmc.observation import Observation, PowerState, SelMark

ENDPOINT = BmcEndpoint("192.0.2.1", 623, b"admin", b"not-a-secret")
INVALID_COMMAND = Answer(0xC1, b"")
STATUS, CAUSE, INFO, ENTRY = (0, 1), (0, 7), (0x0A, 0x40), (0x0A, 0x43)

Answers = dict[tuple[int, int], list[Answer] | Answer]


class ScriptedSession:
    """An IpmiSession that answers from a table."""

    def __init__(self, answers: Answers, log: list[bytes] | None = None, erased: int = 5) -> None:
        self.endpoint = ENDPOINT
        self.alive = True
        self.asked: list[tuple[int, int]] = []
        self._answers = answers
        self._log = log
        self._erased = erased

    async def ask(
        self, netfn: int, command: int, data: bytes = b"", *, seconds: float, lun: int = 0
    ) -> Answer:
        self.asked.append((netfn, command))
        answer = self._answers.get((netfn, command), INVALID_COMMAND)
        if (netfn, command) not in self._answers and self._log is not None:
            answer = self._of_log(command, data)
        if isinstance(answer, list):
            return answer.pop(0)
        return answer

    def logout(self) -> None: ...

    def _of_log(self, command: int, data: bytes) -> Answer:
        log = self._log or []
        if command == INFO[1]:
            return Answer(0, struct.pack("<BHHIIB", 0x51, len(log), 0xFFFF, 0, self._erased, 2))
        (number,) = struct.unpack_from("<H", data, 2)
        number = {0: 1, 0xFFFF: len(log)}.get(number, number)
        if not 1 <= number <= len(log) or not log[number - 1]:
            return Answer(0xCB, b"")
        following = 0xFFFF if number == len(log) else number + 1
        return Answer(0, struct.pack("<HH", following, number) + log[number - 1])


BOOT = struct.pack("<BIHBBBBBBB", 2, 99, 1, 4, 0x1D, 1, 0x6F, 1, 0xFF, 0xFF)
FAN = struct.pack("<BIHBBBBBBB", 2, 98, 1, 4, 0x04, 1, 0x01, 0, 0xFF, 0xFF)
DELETED = b""

Observe = Callable[..., Awaitable[Observation]]


def bmc_with(session: Any) -> IpmiBmc:
    """A BMC that is logged in to."""
    bmc = IpmiBmc(ENDPOINT)
    bmc._session = session
    return bmc


@pytest.fixture
def observe(monkeypatch: pytest.MonkeyPatch) -> Observe:
    monkeypatch.setattr(ipmi, "_BUSY_PAUSE_SECONDS", 0.0)

    async def look(
        answers: Answers | None = None,
        log: list[bytes] | None = None,
        since: SelMark | None = None,
        erased: int = 5,
    ) -> Observation:
        power: Answers = {STATUS: Answer(0, b"\x01\x00\x00"), CAUSE: INVALID_COMMAND}
        session = ScriptedSession({**power, **(answers or {})}, log, erased)
        return await bmc_with(session).observe(since)

    return look


async def test_a_bmc_without_log_and_cause_says_the_power_alone(observe: Observe) -> None:
    assert await observe() == Observation(PowerState.ON, None, None, ())


async def test_a_busy_bmc_is_asked_again(observe: Observe) -> None:
    busy = Answer(0xC0, b"")
    seen = await observe({STATUS: [busy, busy, Answer(0, b"\x00\x00\x00")]})
    assert seen.power is PowerState.OFF


@pytest.mark.parametrize("answer", [INVALID_COMMAND, Answer(0, b"")])
async def test_a_power_that_cannot_be_read_is_unknown(observe: Observe, answer: Answer) -> None:
    assert (await observe({STATUS: answer})).power is PowerState.UNKNOWN


async def test_only_the_cause_is_taken_from_the_causes_byte(observe: Observe) -> None:
    assert (await observe({CAUSE: Answer(0, b"\xf1\x01")})).restart_cause == 1


async def test_starts_behind_the_mark_are_told_and_those_before_are_not(observe: Observe) -> None:
    mark = (await observe(log=[BOOT, FAN])).sel
    assert mark == SelMark(2, 5)
    assert (await observe(log=[BOOT, FAN], since=mark)).restart_events == ()
    seen = await observe(log=[BOOT, FAN, FAN, BOOT], since=mark)
    assert [event.record for event in seen.restart_events] == [4]


async def test_everything_is_new_in_a_log_that_was_empty_or_emptied(observe: Observe) -> None:
    assert len((await observe(log=[BOOT], since=SelMark(None, 5))).restart_events) == 1
    assert len((await observe(log=[BOOT], since=SelMark(9, 4))).restart_events) == 1


async def test_when_the_marked_record_was_deleted_old_starts_are_not_taken_for_new(
    observe: Observe,
) -> None:
    assert (await observe(log=[BOOT, DELETED, BOOT], since=SelMark(2, 5))).restart_events == ()


async def test_a_log_whose_end_cannot_be_read_is_no_log(observe: Observe) -> None:
    assert (await observe(log=[BOOT, DELETED])).sel is None
    assert (await observe({INFO: Answer(0, b"\x51\x01")})).sel is None


class Sending(ScriptedSession):
    def __init__(self, result: Answer | Exception) -> None:
        super().__init__({})
        self._result = result

    async def ask(
        self, netfn: int, command: int, data: bytes = b"", *, seconds: float, lun: int = 0
    ) -> Answer:
        self.asked.append((netfn, command))
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


@pytest.mark.parametrize(
    ("result", "outcome"),
    [(Answer(0, b""), CommandOutcome.ACKNOWLEDGED), (Unanswered(), CommandOutcome.UNKNOWN)],
    ids=str,
)
async def test_a_command_is_asked_once(result: Answer | Exception, outcome: CommandOutcome) -> None:
    session = Sending(result)
    assert await bmc_with(session).send_once(ChassisCommand.HARD_RESET, 1) is outcome
    assert session.asked == [(0, 2)]


async def test_a_busy_bmc_refuses_a_command_and_is_not_asked_again() -> None:
    session = Sending(Answer(0xC0, b""))
    with pytest.raises(BmcRefused) as refused:
        await bmc_with(session).send_once(ChassisCommand.HARD_RESET, 1)
    assert refused.value.completion_code == 0xC0
    assert session.asked == [(0, 2)]


@pytest.mark.parametrize("session", [None, Sending(NotSent())], ids=["no session", "a broken one"])
async def test_without_a_session_that_lives_nothing_is_sent(session: Sending | None) -> None:
    with pytest.raises(BmcUnreachable):
        await bmc_with(session).send_once(ChassisCommand.HARD_RESET, 1)
