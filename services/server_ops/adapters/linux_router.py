"""Linux routers: `ip route` of iproute2 over SSH."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import asyncssh

from services.runtime import ssh
from services.server_ops.ips.router import Router, RouterError, RouterSilent

LONGEST_ANSWER = 64 * 1024
"""How many characters of an answer are read."""


class LinuxRouting:
    """Implements Routing. It logs in for each question: routes move seldom."""

    def __init__(self, key: str, command: str, seconds: float) -> None:
        """`key` is a private key as OpenSSH writes it, empty: none is set up; `command` runs
        iproute2's `ip`, for instance "sudo ip". A router has so many `seconds` to let us in, and as
        many to answer.
        """
        self._seconds = seconds
        self._key = asyncssh.import_private_key(key) if key else None
        self._command = command

    async def next_hop(self, router: Router, ip: str) -> str | None:
        """See Routing."""
        answer = await self._run(router, f"{self._family(ip)} -j route show exact {_host(ip)}")
        try:
            routes = json.loads(answer or "[]")
            hops = [ip_address(route["gateway"]) for route in routes]
        except (ValueError, TypeError, KeyError):
            raise RouterError("It does not say where it sends the address.") from None
        if len(hops) > 1:
            raise RouterError("It has several routes for the address.")
        return str(hops[0]) if hops else None

    async def route(self, router: Router, ip: str, next_hop: str) -> None:
        """See Routing."""
        via = ip_address(next_hop)
        await self._run(
            router, f"{self._family(ip)} route replace {_host(ip)} via {via} proto static"
        )

    def _family(self, ip: str) -> str:
        return f"{self._command} -{ip_address(ip).version}"

    async def _run(self, router: Router, command: str) -> str:
        """What a command printed. It is made of addresses alone, so a shell sees no other word."""
        async with self._session(router) as connection:
            try:
                async with asyncio.timeout(self._seconds):
                    process = await connection.create_process(command)
                    answer = ""
                    while part := await process.stdout.read(LONGEST_ANSWER - len(answer)):
                        answer += part
                    done = await process.wait()
            except (TimeoutError, OSError, asyncssh.Error):
                raise RouterSilent("It did not answer in time.") from None
        if done.exit_status is None:
            raise RouterSilent("It ended the command.")
        if done.exit_status != 0:
            raise RouterError("It refused the command.")
        return str(answer)

    @asynccontextmanager
    async def _session(self, router: Router) -> AsyncIterator[asyncssh.SSHClientConnection]:
        if self._key is None:
            raise RouterError("There is no key to log in to it with.")
        try:
            connection = await ssh.connect(
                router.address,
                router.port,
                user=router.user,
                host_key=router.host_key,
                key=self._key,
                seconds=self._seconds,
            )
        except ssh.SshFailed as failed:
            raise RouterError(str(failed)) from None
        try:
            yield connection
        finally:
            connection.abort()


def _host(ip: str) -> str:
    address = ip_address(ip)
    return f"{address}/{address.max_prefixlen}"
