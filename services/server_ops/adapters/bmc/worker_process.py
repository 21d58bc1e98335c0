"""The inside of a worker process: many BMCs, each with one session, on one event loop."""

import asyncio
import os
import signal
import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from services.server_ops.adapters.bmc.ipmi.bmc import IpmiBmc
from services.server_ops.adapters.bmc.messages import (
    WINDOW,
    Answer,
    Call,
    Emitted,
    Ended,
    Failed,
    Given,
    Raised,
    Request,
    Returned,
    Taken,
    receive,
    send,
)
from services.server_ops.adapters.bmc.redfish.bmc import RedfishBmc, log_out_everywhere
from services.server_ops.bmc.endpoint import BmcEndpoint, Protocol
from services.server_ops.bmc.errors import BmcError, BmcUnreachable

WATCHDOG_SECONDS = 5
"""An event loop that stood still for so long ends the process: somebody else will start another."""

Link = IpmiBmc | RedfishBmc


def serve(connection: socket.socket, trust: bool | str) -> None:
    """Answers calls until the other end is gone, then logs out everywhere.

    `trust` is what RedfishBmc is given.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends us
    asyncio.run(_Serving(trust).run(connection))
    log_out_everywhere()
    os._exit(0)  # a thread may still wait for a BMC: nobody waits for the thread


class _Serving:
    def __init__(self, trust: bool | str) -> None:
        self._makers: dict[Protocol, Callable[[BmcEndpoint], Link]] = {
            Protocol.IPMI: IpmiBmc,
            Protocol.REDFISH: lambda endpoint: RedfishBmc(endpoint, trust),
        }
        self._links: dict[tuple[str, int], Link] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._exchanges: dict[int, _Exchange] = {}
        self._consoles: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        """One is detached before the next is attached."""

    async def run(self, connection: socket.socket) -> None:
        _watch()
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            while True:
                self._take(await receive(reader), writer)
        except EOFError:
            for task in [*self._tasks.values()]:
                task.cancel()
            for link in self._links.values():
                link.drop()

    def _take(self, message: Request, writer: asyncio.StreamWriter) -> None:
        match message:
            case Call(number):
                task = asyncio.create_task(self._run(message, writer))
                self._tasks[number] = task
                task.add_done_callback(lambda _done: self._tasks.pop(number, None))
            case Given(number, value):
                if number in self._exchanges:
                    self._exchanges[number].given.put_nowait(value)
            case Taken(number):
                if number in self._exchanges:
                    self._exchanges[number].room.release()
            case Ended(number):
                if number in self._tasks:
                    self._tasks[number].cancel()

    async def _run(self, call: Call, writer: asyncio.StreamWriter) -> None:
        link = self._link(call.endpoint)
        answer: Answer
        try:
            answer = Returned(call.number, await self._answer(link, call, writer))
        except BmcError as error:
            answer = Raised(call.number, error)
        except TimeoutError:
            link.drop()  # what follows may not be mistaken for the answer
            answer = Raised(call.number, BmcUnreachable(link.trouble))
        except asyncio.CancelledError:
            if not link.attached:
                link.drop()
            raise
        except Exception as error:  # noqa: BLE001 - the worker lives on; the caller decides what it means
            link.drop()
            answer = Failed(call.number, type(error).__name__)
        send(writer, answer)

    async def _answer(self, link: Link, call: Call, writer: asyncio.StreamWriter) -> Any:
        if call.method == "drop":
            link.drop()
            del self._links[_key(call.endpoint)]
            return None
        if call.method == "attach":
            return await self._attach(link, call, writer)
        async with asyncio.timeout(call.seconds):
            return await getattr(link, call.method)(*call.arguments)

    async def _attach(self, link: Link, call: Call, writer: asyncio.StreamWriter) -> None:
        exchange = self._exchanges[call.number] = _Exchange(call.number, writer)
        try:
            async with self._consoles[_key(call.endpoint)]:
                await self._attached(link, call, exchange)
        finally:
            del self._exchanges[call.number]

    async def _attached(self, link: Link, call: Call, exchange: "_Exchange") -> None:
        async with asyncio.timeout(call.seconds):
            console = await link.attach(*call.arguments)
        typing = asyncio.create_task(console.type(exchange.next_given))
        typing.add_done_callback(lambda _task: console.end())
        try:
            await exchange.emit(None)  # it is attached
            while (output := await console.next()) is not None:
                await exchange.emit(output)
            if typing.done():
                raise BmcUnreachable from typing.exception()
        finally:
            typing.cancel()
            await console.detach()

    def _link(self, endpoint: BmcEndpoint) -> Link:
        link = self._links.get(_key(endpoint))
        if link is not None and link.endpoint != endpoint:
            link.drop()
            link = None
        if link is None:
            link = self._links[_key(endpoint)] = self._makers[endpoint.protocol](endpoint)
        return link


class _Exchange:
    """A call that goes on, seen from here."""

    def __init__(self, number: int, writer: asyncio.StreamWriter) -> None:
        self._number = number
        self._writer = writer
        self.given: asyncio.Queue[Any] = asyncio.Queue()
        """What was given: never more than the other side has room for."""
        self.room = asyncio.Semaphore(WINDOW)

    async def emit(self, value: Any) -> None:
        """Emits a part, when there is room."""
        await self.room.acquire()
        send(self._writer, Emitted(self._number, value))

    async def next_given(self) -> Any:
        """What was given next."""
        value = await self.given.get()
        send(self._writer, Taken(self._number))
        return value


def _key(endpoint: BmcEndpoint) -> tuple[str, int]:
    return endpoint.address, endpoint.port


def _watch() -> None:
    """Sets the alarm clock again and again, as long as the event loop turns."""
    signal.alarm(WATCHDOG_SECONDS)
    asyncio.get_running_loop().call_later(1.0, _watch)
