"""Whether the caller of a stream may still have it: a revoked key takes its streams along."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.call import Caller
from services.runtime.clock import Clock
from services.runtime.errors import ApiError

ASK_SECONDS = 0.4
"""How often auth is asked. It remembers for half a second: together less than one second."""

Renew = Callable[[str], Awaitable[str]]
"""Shows auth a principal's header; answers one that holds for longer.

Raises ApiError when the caller may no more, and grpc.aio.AioRpcError when auth does not answer.
"""


@dataclass
class _Watched:
    """A caller with streams."""

    over: asyncio.Future[ApiError]
    """Why they have to end, as soon as they have to."""
    asking: asyncio.Task[None]
    streams: int = 0


class Standing:
    """Asks auth about the callers of streams, about each one once for all of its streams."""

    def __init__(self, renew: Renew, verify: Callable[[str], Principal], clock: Clock) -> None:
        self._renew = renew
        self._verify = verify
        self._clock = clock
        self._watched: dict[tuple[object, ...], _Watched] = {}

    @asynccontextmanager
    async def of(self, caller: Caller) -> AsyncIterator[asyncio.Future[ApiError]]:
        """Inside, a future that says why the caller's stream has to end, as soon as it has to."""
        said = caller.principal
        name = (said.subject, said.session, said.policy_digest, said.role, said.token)
        watched = self._watched.get(name)
        if watched is None:
            over: asyncio.Future[ApiError] = asyncio.get_running_loop().create_future()
            asking = asyncio.create_task(self._ask(caller.header, said.expire_seconds, over))
            watched = self._watched[name] = _Watched(over, asking)
        watched.streams += 1
        try:
            yield watched.over
        finally:
            watched.streams -= 1
            if not watched.streams:
                watched.asking.cancel()
                del self._watched[name]

    async def _ask(self, header: str, expire_seconds: int, over: asyncio.Future[ApiError]) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                header = await self._renew(header)
                expire_seconds = self._verify(header).expire_seconds
            except ApiError as error:
                over.set_result(error)
                return
            except grpc.aio.AioRpcError:
                # auth is away. What it said last holds for as long as it said.
                if self._clock().timestamp() >= expire_seconds:
                    text = "The service that knows whether this key still stands does not answer."
                    over.set_result(
                        ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1)
                    )
                    return
