"""Work that is done again and again beside the calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import structlog

from services.runtime.interceptors import NO_DATABASE

ROUND_SECONDS = 0.5
"""How long a round waits for what it began; what takes longer goes on apart from it."""

Job = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class Ran(Protocol):
    """Is told of each run of a job."""

    def __call__(self, job: str, *, well: bool) -> None:
        """The job of this name ended, and whether it ended well."""
        ...


def _nobody(job: str, *, well: bool) -> None:
    """Nobody wants to know."""


@asynccontextmanager
async def repeated(
    *jobs: tuple[float, Job], at_end: bool = True, ran: Ran = _nobody
) -> AsyncIterator[None]:
    """Does each job after so many seconds, again and again, and once more `at_end`.

    A job that fails is logged, and done again when its time comes. `ran` is told of each run.
    """
    tasks = [asyncio.create_task(_repeat(seconds, job, ran)) for seconds, job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, job in jobs if at_end else ():
            await _do(job, ran)


async def _repeat(seconds: float, job: Job, ran: Ran) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _do(job, ran)


async def _do(job: Job, ran: Ran = _nobody) -> None:
    name = _name(job)
    try:
        await job()
        ran(name, well=True)
        return
    except NO_DATABASE as error:
        log.error("background work without a database", job=name, cause=type(error).__name__)
    except Exception:
        log.exception("background work failed", job=name)
    ran(name, well=False)


def _name(job: Job) -> str:
    """What a job is called: as the function, or as the class of the object, that does it."""
    work: object = job
    while isinstance(work, partial):
        work = work.func
    return str(getattr(work, "__qualname__", type(work).__qualname__))


class Apart:
    """Work on several things at once, which may go on when the round that began it is over.

    On each thing there is one piece of work at a time. Work that fails is logged.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    async def go_on(self, work: Mapping[Hashable, Job]) -> None:
        """Begins the work on each thing, unless it is under way, and waits ROUND_SECONDS for it."""
        for thing, job in work.items():
            if thing not in self._tasks:
                self._tasks[thing] = task = asyncio.create_task(_do(job))
                task.add_done_callback(partial(self._over, thing))
        if self._tasks:
            await asyncio.wait({*self._tasks.values()}, timeout=ROUND_SECONDS)

    def _over(self, thing: Hashable, _task: asyncio.Task[None]) -> None:
        del self._tasks[thing]

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = {*self._tasks.values()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
