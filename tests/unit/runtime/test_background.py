import asyncio
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from services.runtime import background
from services.runtime.background import Apart, Job, repeated
from tests.unit.serving import PATIENCE_SECONDS


class Work:
    """Work that goes on until it may end."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.begun = self.ended = self.cancelled = 0

    async def __call__(self) -> None:
        self.begun += 1
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1


def counting(done: list[str], name: str, enough: asyncio.Event, times: int) -> Job:
    async def job() -> None:
        done.append(name)
        if done.count(name) == times:
            enough.set()

    return job


# --- Again and again


async def test_jobs_are_done_again_and_again_and_once_more_at_the_end() -> None:
    done: list[str] = []
    enough = asyncio.Event()
    async with repeated((0.0, counting(done, "a", enough, 3)), (3600.0, _named(done, "b"))):
        await enough.wait()
        assert "b" not in done
    assert done[-2:] == ["a", "b"]
    assert done.count("b") == 1


async def test_where_it_is_not_wanted_nothing_is_done_at_the_end() -> None:
    done: list[str] = []
    async with repeated((3600.0, _named(done, "a")), at_end=False):
        await asyncio.sleep(0)
    assert done == []


async def test_a_job_that_fails_is_logged_and_done_again() -> None:
    times = 0
    enough = asyncio.Event()

    async def fails() -> None:
        nonlocal times
        times += 1
        if times == 2:
            enough.set()
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with repeated((0.0, fails), at_end=False):
            await enough.wait()
    assert {each["event"] for each in logs} == {"background work failed"}


async def test_what_is_under_way_at_the_end_is_ended() -> None:
    work = Work()
    async with repeated((0.0, work), at_end=False):
        await work.began.wait()
    assert (work.ended, work.cancelled) == (0, 1)


async def test_the_jobs_end_although_what_they_are_beside_fails() -> None:
    done: list[str] = []
    with suppress(ZeroDivisionError):
        async with repeated((3600.0, _named(done, "a"))):
            raise ZeroDivisionError
    assert done == ["a"]


def _named(done: list[str], name: str) -> Job:
    return counting(done, name, asyncio.Event(), 0)


# --- Apart


@pytest.fixture(autouse=True)
def _whole_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round ends when all that it began has ended, however busy this machine is."""
    monkeypatch.setattr(background, "ROUND_SECONDS", PATIENCE_SECONDS)


async def test_a_round_ends_when_all_that_it_began_has_ended() -> None:
    done: list[str] = []
    await Apart().go_on({name: _named(done, name) for name in "abc"})
    assert sorted(done) == ["a", "b", "c"]


async def test_a_round_without_work_ends_at_once() -> None:
    await Apart().go_on({})


async def test_slow_work_keeps_no_other_waiting_and_goes_on_by_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart, slow, done = Apart(), Work(), list[str]()
    monkeypatch.setattr(background, "ROUND_SECONDS", 0.0)
    for number in range(1, 4):
        quick = asyncio.Event()
        await apart.go_on({"slow": slow, "quick": counting(done, "quick", quick, number)})
        await quick.wait()
    assert (slow.begun, slow.ended, len(done)) == (1, 0, 3)
    slow.may_end.set()
    monkeypatch.setattr(background, "ROUND_SECONDS", PATIENCE_SECONDS)
    await apart.go_on({})
    assert slow.ended == 1
    await apart.go_on({"slow": slow})
    assert (slow.begun, slow.ended) == (2, 2)


async def test_work_that_fails_is_logged_and_keeps_no_other_from_being_done() -> None:
    apart, done, times = Apart(), list[str](), 0

    async def fails() -> None:
        nonlocal times
        times += 1
        raise ZeroDivisionError

    with capture_logs() as logs:
        for _ in range(2):
            await apart.go_on({"bad": fails, "good": _named(done, "good")})
    assert (times, done) == (2, ["good", "good"])
    assert [each["event"] for each in logs] == ["background work failed"] * 2


async def test_closing_ends_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "ROUND_SECONDS", 0.0)
    apart, works = Apart(), [Work(), Work()]
    await apart.go_on(dict(enumerate(works)))
    for work in works:
        await work.began.wait()
    await apart.close()
    assert [(work.ended, work.cancelled) for work in works] == [(0, 1), (0, 1)]
    await apart.close()


async def test_what_is_under_way_goes_on_when_who_waits_for_the_round_is_gone() -> None:
    apart, work = Apart(), Work()
    waiting = asyncio.create_task(apart.go_on({"a": work}))
    await work.began.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.cancelled == 0
    work.may_end.set()
    await apart.go_on({})
    assert work.ended == 1


async def test_work_that_has_no_database_is_told_in_one_line_and_done_again() -> None:
    enough = asyncio.Event()
    tries = 0

    async def job() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            enough.set()
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    with capture_logs() as logs:
        async with repeated((0.0, job), at_end=False):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await enough.wait()
    assert len(logs) >= 2
    for each in logs:
        assert (each["log_level"], each["cause"]) == ("error", "OperationalError")
        assert "exc_info" not in each
