"""Connections to addresses that were checked, and to no other."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from ipaddress import ip_address
from typing import Any

import httpcore

from services.server_ops.webhooks.addresses import Address

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Answers the addresses of a name, for a TCP port. Raises OSError."""


class AddressNotAllowed(Exception):  # noqa: N818 - it says what happened
    """A name has an address that nothing may be sent to."""


class NameNotResolved(Exception):  # noqa: N818
    """A name has no address, or the resolver does not answer."""


class SystemResolver:
    """Implements Resolve as the machine is set up to resolve names."""

    def __init__(self, threads: Executor) -> None:
        """`threads` wait for the resolver: a slow one must hold up nothing else."""
        self._threads = threads

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port)
        return [*dict.fromkeys(found)]


def _look_up(host: str, port: int) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks every address, and connects to one of just these.

    There is no second resolution that could answer something else (DNS rebinding). TLS, which
    httpcore begins after this, verifies the certificate for the name.
    """

    def __init__(self, resolve: Resolve, allowed: Callable[[Address], bool]) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first address that answers. Raises AddressNotAllowed, NameNotResolved."""
        failure: Exception = NameNotResolved()
        for address in await self._checked(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._inner.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = [ip_address(each) for each in await self._resolve(host, port)]
        except (OSError, ValueError):
            raise NameNotResolved from None
        if not all(self._allowed(address) for address in found):
            raise AddressNotAllowed
        return [str(address) for address in found]
