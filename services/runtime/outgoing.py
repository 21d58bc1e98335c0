"""Calls to other services of ours: they continue the trace of the call that causes them."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc.aio
from opentelemetry.trace import SpanKind

from services.runtime import tracing


class _Followed:
    """What a generated stub uses of a channel.

    grpc.aio's own interceptors make a task of their own for every call; this costs nothing then.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_unary(self, path: str, *shape: Any, **named: Any) -> Callable[..., Awaitable[Any]]:
        call = self._channel.unary_unary(path, *shape, **named)

        async def followed(request: Any, *, metadata: Any = (), **options: Any) -> Any:
            with tracing.span(path[1:], kind=SpanKind.CLIENT) as span:
                parent = tracing.traceparent()
                headers = ((tracing.TRACEPARENT, parent),) if parent else ()
                try:
                    return await call(request, metadata=(*metadata, *headers), **options)
                except grpc.aio.AioRpcError as error:
                    span.set_attribute("rpc.grpc.status_code", error.code().name)
                    raise

        return followed


def followed(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    """The channel for stubs, whose calls carry the present trace.

    All RPCs between services are unary: a stub that has another kind cannot be made with it.
    """
    return cast("grpc.aio.Channel", _Followed(channel))
