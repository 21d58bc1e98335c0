"""A worker process that talks to one BMC, and can be ended when it is late."""

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.pool import Pool
from typing import Any, TypeVar

from services.server_ops.adapters.bmc import ipmi

T = TypeVar("T")

LOGOUT_SECONDS = 1.0

# A new process is forked from a server that has imported pyghmi and done nothing with it: quick, and
# no state of ours or of another BMC comes along.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([ipmi.__name__])


class Late(Exception):  # noqa: N818 - it says what happened
    """The worker did not answer in time and was ended."""


class Worker:
    """One process, one call at a time."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    async def call(self, function: Callable[..., T], *arguments: Any, seconds: float) -> T:
        """Runs a function of the module `ipmi` in the process.

        Raises what it raises, or Late after `seconds`; the process is ended then.
        """
        if self._pool is None:
            self._pool = await asyncio.to_thread(_processes.Pool, 1)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._pool.apply_async(
            function,
            arguments,
            callback=lambda value: loop.call_soon_threadsafe(_resolve, answer, value),
            error_callback=lambda error: loop.call_soon_threadsafe(_reject, answer, error),
        )
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            await self.end()
            raise Late from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def log_out(self) -> None:
        """Gives the BMC its session slot back, and ends the process."""
        if self._pool is not None:
            try:
                await self.call(ipmi.logout, seconds=LOGOUT_SECONDS)
            except Late:
                return
            await self.end()

    async def end(self) -> None:
        """Ends the process at once."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.terminate)


def _resolve(answer: "asyncio.Future[T]", value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _reject(answer: "asyncio.Future[Any]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
