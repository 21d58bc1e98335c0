"""f2h.server_ops.v1.ConsoleService."""

import asyncio
import codecs
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import console_pb2, console_pb2_grpc

from services.runtime.call import current_caller
from services.runtime.errors import ApiError, Violation
from services.server_ops.bmc.console import Console, Output
from services.server_ops.bmc.errors import BmcError
from services.server_ops.console.attach import AttachConsole, Attachment
from services.server_ops.ipmi.refusals import refusal

CONSOLE_SECONDS = 3600.0
"""A stream ends after so long."""

LOOK_SECONDS = 1.0
"""How often it is looked whether the server is still the account's, and its BMC the same."""

QUIET_SECONDS = 30.0
"""After so long without a word from the machine an empty message says that it is still attached."""


class ConsoleServicer(console_pb2_grpc.ConsoleServiceServicer):
    """Lets customers read the serial consoles of their servers, and type on them."""

    def __init__(
        self, attach: AttachConsole, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._attach = attach
        self._monotonic = monotonic

    # Coroutines, for the layers: see Layers.around.
    async def ReadConsole(  # type: ignore[override]
        self, request: console_pb2.ReadConsoleRequest, _context: Any
    ) -> AsyncIterator[console_pb2.ReadConsoleResponse]:
        """What the machine writes, as text."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

        def pack(output: Output) -> console_pb2.ReadConsoleResponse:
            return console_pb2.ReadConsoleResponse(
                text=decoder.decode(output.data), lost=output.lost
            )

        return await self._attached(request.hostname, take_over=request.take_over, pack=pack)

    async def AttachConsole(  # type: ignore[override]
        self,
        request: console_pb2.AttachConsoleRequest,
        following: AsyncIterator[console_pb2.AttachConsoleRequest],
        _context: Any,
    ) -> AsyncIterator[console_pb2.AttachConsoleResponse]:
        """What the machine writes, while what follows is typed."""

        def pack(output: Output) -> console_pb2.AttachConsoleResponse:
            return console_pb2.AttachConsoleResponse(data=output.data, lost=output.lost)

        async def typed(console: Console) -> None:
            await _type(console, request)
            async for message in following:
                if message.hostname:
                    raise _one_server()
                await _type(console, message)

        return await self._attached(
            request.hostname, take_over=request.take_over, pack=pack, typed=typed
        )

    async def _attached(
        self,
        hostname: str,
        *,
        take_over: bool,
        pack: Callable[[Output], Any],
        typed: Callable[[Console], Any] | None = None,
    ) -> "_Attached":
        caller = current_caller()
        exits = AsyncExitStack()
        attached = await exits.enter_async_context(
            self._attach(hostname, caller.account, caller.principal.subject, take_over=take_over)
        )
        typing = asyncio.ensure_future(typed(attached.console)) if typed else None
        return _Attached(self._output(hostname, attached, typing), pack, typing, exits)

    async def _output(
        self, hostname: str, attached: Attachment, typing: "asyncio.Future[None] | None"
    ) -> AsyncGenerator[Output, None]:
        begin = said = looked = self._monotonic()
        yield Output(b"")
        while (now := self._monotonic()) - begin < CONSOLE_SECONDS:
            if now - looked >= LOOK_SECONDS:
                looked = now
                if not await attached.is_still():
                    return
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    output = await _spoken(attached.console, typing)
            except TimeoutError:
                if now - said < QUIET_SECONDS:
                    continue
                output = Output(b"")
            except BmcError as error:
                raise refusal(hostname, error) from None
            if output is None:
                return
            said = now
            yield output


class _Attached:
    """The messages of an attached console.

    Not a generator: one that was never begun would detach nothing when it is closed.
    """

    def __init__(
        self,
        output: AsyncGenerator[Output, None],
        pack: Callable[[Output], Any],
        typing: "asyncio.Future[None] | None",
        exits: AsyncExitStack,
    ) -> None:
        self._output = output
        self._pack = pack
        self._typing = typing
        self._exits = exits

    def __aiter__(self) -> "_Attached":
        return self

    async def __anext__(self) -> Any:
        return self._pack(await anext(self._output))

    async def aclose(self) -> None:
        """Detaches it."""
        if self._typing is not None:
            self._typing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._typing
        await self._output.aclose()
        await self._exits.aclose()


async def _spoken(console: Console, typing: "asyncio.Future[None] | None") -> Output | None:
    """What the machine wrote next. Raises what went wrong with the typing."""
    if typing is None or (typing.done() and typing.exception() is None):
        return await console.next()
    coming = asyncio.ensure_future(console.next())
    first: set[asyncio.Future[Any]] = {coming, typing}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if typing.done():
            typing.result()
        return await coming
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


async def _type(console: Console, message: console_pb2.AttachConsoleRequest) -> None:
    if message.data:
        await console.write(message.data)
    if message.send_break:
        await console.send_break()


def _one_server() -> ApiError:
    text = "hostname is for the first message: open another stream for another server"
    return ApiError(Reason.INVALID_REQUEST, text, violations=[Violation("hostname", text)])
