"""A worker process, seen from the service: calls go to it, and it can be ended when it is late."""

import asyncio
import itertools
import multiprocessing
import socket
import threading
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
    Taken,
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
        self._waiting: dict[int, _Waiting] = {}
        self._listening = asyncio.create_task(self._listen())

    @property
    def alive(self) -> bool:
        return not self._listening.done()

    def begin(self, call: Call) -> "_Waiting":
        """Sends a call."""
        waiting = self._waiting[call.number] = _Waiting()
        self.send(call)
        return waiting

    def end(self, number: int) -> None:
        """Nobody waits for the call any more."""
        self._waiting.pop(number, None)

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
                waiting = self._waiting.get(answer.number)
                if isinstance(answer, Taken) and waiting:
                    waiting.room.release()
                elif waiting:
                    waiting.answers.put_nowait(answer)
        except EOFError:
            self._release()

    def _release(self) -> None:
        for waiting in self._waiting.values():
            waiting.answers.put_nowait(None)


class _Waiting:
    """Who waits for a call."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        """What comes back; None at last when the process is gone."""
        self.room = asyncio.Semaphore(messages.WINDOW)
        """For what may be given."""


class Exchange:
    """A call that goes on: it emits, and is given something meanwhile. Both sides wait for room."""

    def __init__(self, running: _Running, call: Call) -> None:
        """Begins it."""
        self._running = running
        self._number = call.number
        self._waiting = running.begin(call)
        self._ended = False

    async def next(self) -> Emitted | None:
        """What it emits next; None when it has ended. Raises what it raises, or Lost."""
        if self._ended:
            return None
        answer = await self._waiting.answers.get()
        if isinstance(answer, Emitted):
            self._running.send(Taken(self._number))
            return answer
        self.end()
        _value(answer)
        return None

    async def give(self, value: Any) -> None:
        """Gives it something, when there is room."""
        await self._waiting.room.acquire()
        if not self._ended:
            self._running.send(Given(self._number, value))

    def end(self) -> None:
        """Ends it. Whoever waits for what is next is told that it has ended."""
        if not self._ended:
            self._ended = True
            self._running.send(Ended(self._number))
            self._running.end(self._number)
            self._waiting.answers.put_nowait(Returned(self._number, None))
            self._waiting.room.release()


class Worker:
    """One process, which is started when it is needed and replaced when it is gone."""

    def __init__(self, trust: bool | str = True) -> None:
        """`trust`: see RedfishBmc."""
        self._trust = trust
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
        waiting = running.begin(call)
        try:
            async with asyncio.timeout(seconds + MARGIN_SECONDS):
                return _value(await waiting.answers.get())
        except TimeoutError:
            await running.close(0.0)
            raise Lost from None
        except asyncio.CancelledError:
            running.send(Ended(call.number))
            raise
        finally:
            running.end(call.number)

    async def exchange(
        self, endpoint: BmcEndpoint, method: str, *arguments: Any, seconds: float
    ) -> Exchange:
        """Begins a call that goes on. What it emits first comes within `seconds`."""
        running = await self._process()
        call = Call(next(self._numbers), endpoint, method, arguments, seconds)
        return Exchange(running, call)

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
                self._running = await _finished(_started(self._trust))
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


async def _started(trust: bool | str) -> _Running:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = _processes.Process(target=worker_process.serve, args=(theirs, trust), daemon=True)
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
