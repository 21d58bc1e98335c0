"""Work that is done again and again beside the calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

Job = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@asynccontextmanager
async def repeated(*jobs: tuple[float, Job]) -> AsyncIterator[None]:
    """Does each job after so many seconds, again and again, and once more at the end.

    A job that fails is logged, and done again when its time comes.
    """
    tasks = [asyncio.create_task(_repeat(seconds, job)) for seconds, job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, job in jobs:
            await _do(job)


async def _repeat(seconds: float, job: Job) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _do(job)


async def _do(job: Job) -> None:
    try:
        await job()
    except Exception:
        log.exception("background work failed", job=getattr(job, "__qualname__", ""))
