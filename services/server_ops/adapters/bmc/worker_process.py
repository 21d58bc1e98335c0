"""The inside of a worker process: many BMCs, each with one session, on one event loop."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from services.server_ops.adapters.bmc.ipmi import IpmiBmc
from services.server_ops.adapters.bmc.messages import (
    Answer,
    Call,
    Emitted,
    Ended,
    Failed,
    Given,
    Raised,
    Returned,
    receive,
    send,
)
from services.server_ops.bmc.endpoint import BmcEndpoint, Protocol
from services.server_ops.bmc.errors import BmcError, BmcUnreachable

WATCHDOG_SECONDS = 5
"""An event loop that stood still for so long ends the process: somebody else will start another."""

_CONSOLE_BYTES = 1024
"""Of what is typed, how many pieces wait for a slow console."""

Link = IpmiBmc

_MAKERS: dict[Protocol, Callable[[BmcEndpoint], Link]] = {Protocol.IPMI: IpmiBmc}


def serve(connection: socket.socket) -> None:
    """Answers calls until the other end is gone, then logs out everywhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends us
    asyncio.run(_Serving().run(connection))
    os._exit(0)  # a thread may still wait for a BMC: nobody waits for the thread


class _Serving:
    def __init__(self) -> None:
        self._links: dict[tuple[str, int], Link] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._given: dict[int, asyncio.Queue[Any]] = {}

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

    def _take(self, message: Call | Given | Ended, writer: asyncio.StreamWriter) -> None:
        match message:
            case Call(number):
                task = asyncio.create_task(self._run(message, writer))
                self._tasks[number] = task
                task.add_done_callback(lambda _done: self._tasks.pop(number, None))
            case Given(number, value):
                if number in self._given and not self._given[number].full():
                    self._given[number].put_nowait(value)
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
        given: asyncio.Queue[Any] = asyncio.Queue(_CONSOLE_BYTES)
        self._given[call.number] = given
        output: AsyncIterator[bytes] = link.attach(given)
        try:
            async with asyncio.timeout(call.seconds):
                first = await anext(output, None)
            while first is not None:
                send(writer, Emitted(call.number, first))
                await writer.drain()
                first = await anext(output, None)
        finally:
            del self._given[call.number]
            await output.aclose()  # type: ignore[attr-defined]

    def _link(self, endpoint: BmcEndpoint) -> Link:
        link = self._links.get(_key(endpoint))
        if link is not None and link.endpoint != endpoint:
            link.drop()
            link = None
        if link is None:
            link = self._links[_key(endpoint)] = _MAKERS[endpoint.protocol](endpoint)
        return link


def _key(endpoint: BmcEndpoint) -> tuple[str, int]:
    return endpoint.address, endpoint.port


def _watch() -> None:
    """Sets the alarm clock again and again, as long as the event loop turns."""
    signal.alarm(WATCHDOG_SECONDS)
    asyncio.get_running_loop().call_later(1.0, _watch)
