"""A worker process that talks to one BMC, and can be ended when it is late."""

import asyncio
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from services.server_ops.adapters.bmc import worker_process
from services.server_ops.adapters.bmc.worker_process import Call, Failed, Raised, Returned

T = TypeVar("T")

LOGOUT_SECONDS = 1.0

# A new process is forked from a server that has imported pyghmi and done nothing with it: quick,
# and no state of ours or of another BMC comes along.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([worker_process.__name__])

_turn = threading.Lock()
"""multiprocessing's list of children is not for several threads at once."""


class Lost(Exception):  # noqa: N818 - it says what happened
    """No answer: the worker was late and was ended, died, or failed. The call may have run."""


class Worker:
    """One process, one call at a time.

    A pipe and a process, and no multiprocessing.Pool: a worker that is killed while it waits for
    work holds the pool's lock for ever, and then even `Pool.terminate` hangs.
    """

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None when there is no process."""
        return self._process.pid if self._process else None

    async def call(self, function: Callable[..., T], *arguments: Any, seconds: float) -> T:
        """Runs a function of the module `ipmi` in the process; a new one if there is none.

        Raises the BmcError that it raises, or Lost, after `seconds` at the latest.
        """
        if self._pipe is not None and self._pipe.poll():
            await self.end()  # it says something unasked: that it died
        try:
            async with asyncio.timeout(seconds):
                if self._pipe is None:
                    await self._start()
                answer = await self._exchange(Call(function, arguments, seconds))
        except (TimeoutError, EOFError, OSError):
            await self.end()
            raise Lost from None
        except asyncio.CancelledError:
            await self.end()
            raise
        match answer:
            case Returned(value):
                result: T = value
                return result
            case Raised(error):
                raise error
            case Failed():
                await self.end()  # its session may be in any state
                raise Lost
        raise AssertionError(answer)

    async def log_out(self) -> None:
        """Lets the process log out and end."""
        await self._finish(LOGOUT_SECONDS)

    async def end(self) -> None:
        """Ends the process at once."""
        await self._finish(0.0)

    async def _start(self) -> None:
        ours, theirs = _processes.Pipe()
        process = _processes.Process(target=worker_process.serve, args=(theirs,), daemon=True)
        self._process, self._pipe = process, ours
        try:
            # To its end, even when the call is given up: a process half started cannot be ended.
            await _finished(asyncio.to_thread(_start, process))
        finally:
            theirs.close()

    async def _exchange(self, call: Call) -> Returned | Raised | Failed:
        assert self._pipe is not None  # noqa: S101
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        number = self._pipe.fileno()
        loop.add_reader(number, readable.set)
        try:
            self._pipe.send(call)  # small: the pipe takes it at once
            await readable.wait()
        finally:
            loop.remove_reader(number)
        answer: Returned | Raised | Failed = self._pipe.recv()
        return answer

    async def _finish(self, patience: float) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            await _finished(asyncio.to_thread(_stop, process, patience))


def _start(process: BaseProcess) -> None:
    with _turn:
        process.start()


def _stop(process: BaseProcess, patience: float) -> None:
    if process.pid is None:
        return
    if patience:
        process.join(patience)
    with _turn:
        process.kill()
        process.join()
        process.close()


async def _finished(work: Any) -> None:
    """Waits for work to its end, and is cancelled only then."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
