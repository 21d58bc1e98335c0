"""Work that is done again and again beside the calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog

from services.runtime.interceptors import NO_DATABASE

ROUND_SECONDS = 0.5
"""How long a round waits for what it began; what takes longer goes on apart from it."""

Job = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@asynccontextmanager
async def repeated(*jobs: tuple[float, Job], at_end: bool = True) -> AsyncIterator[None]:
    """Does each job after so many seconds, again and again, and once more `at_end`.

    A job that fails is logged, and done again when its time comes.
    """
    tasks = [asyncio.create_task(_repeat(seconds, job)) for seconds, job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, job in jobs if at_end else ():
            await _do(job)


async def _repeat(seconds: float, job: Job) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _do(job)


async def _do(job: Job) -> None:
    name = getattr(job, "__qualname__", "")
    try:
        await job()
    except NO_DATABASE as error:
        log.error("background work without a database", job=name, cause=type(error).__name__)
    except Exception:
        log.exception("background work failed", job=name)


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
