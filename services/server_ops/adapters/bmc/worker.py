"""A worker process, seen from the service: calls go to it, and it can be ended when it is late."""

import asyncio
import itertools
import multiprocessing
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any

from services.server_ops.adapters.bmc import messages, worker_process
from services.server_ops.adapters.bmc.messages import (
    Answer,
    Call,
    Emitted,
    Ended,
    Failed,
    Given,
    Raised,
    Returned,
)
from services.server_ops.bmc.endpoint import BmcEndpoint

LOGOUT_SECONDS = 2.0

MARGIN_SECONDS = 1.0
"""A worker ends a late call itself. One that has not said so by then is ended."""

# A new process is forked from a server that has imported pyghmi and done nothing with it: quick,
# and no state of ours comes along.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([worker_process.__name__])

_turn = threading.Lock()
"""multiprocessing's list of children is not for several threads at once."""


class Lost(Exception):  # noqa: N818 - it says what happened
    """No answer: the worker died, or was ended, or failed. The call may have run."""


class _Running:
    """A process that runs, and the calls that wait for it."""

    def __init__(
        self,
        process: BaseProcess,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Queue[Answer | None]] = {}
        self._listening = asyncio.create_task(self._listen())

    @property
    def alive(self) -> bool:
        return not self._listening.done()

    def begin(self, call: Call) -> asyncio.Queue[Answer | None]:
        """Sends a call; what comes back, None at last when the process is gone."""
        answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._waiting[call.number] = answers
        self.send(call)
        return answers

    def end(self, number: int) -> None:
        """Nobody waits for the call any more."""
        del self._waiting[number]

    def send(self, message: messages.Request) -> None:
        with suppress(ConnectionError):
            messages.send(self._writer, message)

    async def close(self, patience: float) -> None:
        """Lets the process log out, for so long, and ends it."""
        self._listening.cancel()
        self._writer.close()
        await _finished(asyncio.to_thread(_stop, self.process, patience))
        self._release()

    async def _listen(self) -> None:
        try:
            while True:
                answer: Answer = await messages.receive(self._reader)
                if answer.number in self._waiting:
                    self._waiting[answer.number].put_nowait(answer)
        except EOFError:
            self._release()

    def _release(self) -> None:
        for answers in self._waiting.values():
            answers.put_nowait(None)


class Worker:
    """One process, which is started when it is needed and replaced when it is gone."""

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count()

    @property
    def pid(self) -> int | None:
        """Process id; None when there is no process."""
        return self._running.process.pid if self._running and self._running.alive else None

    async def call(
        self, endpoint: BmcEndpoint, method: str, *arguments: Any, seconds: float
    ) -> Any:
        """Runs a method of the BMC in the process; a new process if there is none.

        Raises the BmcError that it raises, or Lost, soon after `seconds` at the latest.
        """
        running = await self._process()
        call = Call(next(self._numbers), endpoint, method, arguments, seconds)
        answers = running.begin(call)
        try:
            async with asyncio.timeout(seconds + MARGIN_SECONDS):
                return _value(await answers.get())
        except TimeoutError:
            await running.close(0.0)
            raise Lost from None
        except asyncio.CancelledError:
            running.send(Ended(call.number))
            raise
        finally:
            running.end(call.number)

    async def stream(
        self, endpoint: BmcEndpoint, method: str, given: asyncio.Queue[Any], *, seconds: float
    ) -> AsyncIterator[Any]:
        """As `call`, for one that emits: the first part within `seconds`, the others as they come.

        What is put into `given` goes to the call.
        """
        running = await self._process()
        call = Call(next(self._numbers), endpoint, method, (), seconds)
        answers = running.begin(call)
        giving = asyncio.create_task(_give(running, call.number, given))
        try:
            while isinstance(answer := await answers.get(), Emitted):
                yield answer.value
            _value(answer)
        finally:
            giving.cancel()
            running.send(Ended(call.number))
            running.end(call.number)

    async def close(self) -> None:
        """Logs out everywhere and ends the process."""
        async with self._starting:
            if self._running is not None:
                await self._running.close(LOGOUT_SECONDS)
                self._running = None

    async def _process(self) -> _Running:
        async with self._starting:
            if self._running is not None and not self._running.alive:
                await self._running.close(0.0)
                self._running = None
            if self._running is None:
                self._running = await _finished(_started())
            return self._running


def _value(answer: Answer | None) -> Any:
    match answer:
        case Returned(_, value):
            return value
        case Raised(_, error):
            raise error
        case Failed() | None:
            raise Lost
    raise AssertionError(answer)


async def _give(running: _Running, number: int, given: asyncio.Queue[Any]) -> None:
    while True:
        running.send(Given(number, await given.get()))


async def _started() -> _Running:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = _processes.Process(target=worker_process.serve, args=(theirs,), daemon=True)
    try:
        await asyncio.to_thread(_start, process)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours)
    return _Running(process, reader, writer)


def _start(process: BaseProcess) -> None:
    with _turn:
        process.start()


def _stop(process: BaseProcess, patience: float) -> None:
    if patience:
        process.join(patience)
    with _turn, suppress(ValueError):  # ended by somebody else
        process.kill()
        process.join()
        process.close()


async def _finished(work: Any) -> Any:
    """Waits for work to its end, and is cancelled only then."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
