"""A channel that shows another certificate as soon as there is one.

gRPC reads a client's certificate once, when a channel is opened. So a new channel takes the place
of the old one, which is closed when the calls that are under way on it have ended.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import grpc
import grpc.aio

from services.runtime.certificates import Certificates, Shown

LONGEST_CALL_SECONDS = 3600.0
"""How long a call may go on with a certificate that has been replaced."""


class RenewedChannel(grpc.aio.Channel):
    """Implements Channel: each call is begun on the channel of that moment."""

    def __init__(
        self, certificates: Certificates, open_channel: Callable[[Shown], grpc.aio.Channel]
    ) -> None:
        self._certificates = certificates
        self._open = open_channel
        self._shown = certificates.current()
        self._channel = open_channel(self._shown)
        self._closing: set[asyncio.Task[None]] = set()

    def now(self) -> grpc.aio.Channel:
        """The channel that shows what is to be shown now."""
        shown = self._certificates.current()
        if shown is not self._shown:
            self._leave(self._channel)
            self._shown, self._channel = shown, self._open(shown)
        return self._channel

    def _leave(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.create_task(channel.close(LONGEST_CALL_SECONDS))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self, grace: float | None = None) -> None:
        """See Channel."""
        for task in [*self._closing]:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See Channel."""
        return self.now().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See Channel."""
        await self.now().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See Channel."""
        await self.now().channel_ready()

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """See Channel."""
        return _Method(self, "unary_unary", arguments, named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """See Channel."""
        return _Method(self, "unary_stream", arguments, named)

    def stream_unary(self, *arguments: Any, **named: Any) -> Any:
        """See Channel."""
        return _Method(self, "stream_unary", arguments, named)

    def stream_stream(self, *arguments: Any, **named: Any) -> Any:
        """See Channel."""
        return _Method(self, "stream_stream", arguments, named)


class _Method:
    """What a stub keeps: it makes the method anew on each new channel."""

    def __init__(
        self, owner: RenewedChannel, kind: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        self._owner = owner
        self._make = (kind, arguments, named)
        self._channel: grpc.aio.Channel | None = None
        self._method: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        channel = self._owner.now()
        if channel is not self._channel:
            kind, given, by_name = self._make
            self._channel, self._method = channel, getattr(channel, kind)(*given, **by_name)
        return self._method(*arguments, **named)
