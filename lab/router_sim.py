"""A simulated Linux router: an SSH server that knows `ip route`, and can be told to misbehave."""

import asyncio
import json
import re
import threading
from types import TracebackType
from typing import Self

import asyncssh

from lab.ports import HOST, free_port

_SHOW = re.compile(r"ip -([46]) -j route show exact (\S+)/(32|128)")
_REPLACE = re.compile(r"ip -([46]) route replace (\S+)/(32|128) via (\S+) proto static")


class RouterSim:
    """A running router, in a thread of its own; as a context manager."""

    def __init__(self, authorized_key: str) -> None:
        self.routes: dict[str, str] = {}
        """Where it sends which address."""
        self.commands: list[str] = []
        """What changed a route."""
        self.refuses = False
        """Whether it refuses to change routes."""
        self.silent = False
        """Whether it does the next thing that it is told, and says nothing from then on."""
        self.port = free_port()
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._authorized = asyncssh.import_authorized_keys(authorized_key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._over = asyncio.Event()
        self._server: asyncssh.SSHAcceptor | None = None

    @property
    def host_key(self) -> str:
        """Its public host key."""
        return str(self._host_key.export_public_key().decode().strip())

    async def _answer(self, process: asyncssh.SSHServerProcess[str]) -> None:
        command = process.command or ""
        if shown := _SHOW.fullmatch(command):
            hop = self.routes.get(shown[2])
            if self.silent and self.commands:
                await self._over.wait()
            process.stdout.write(json.dumps([{"dst": shown[2], "gateway": hop}] if hop else []))
        elif (replaced := _REPLACE.fullmatch(command)) and not self.refuses:
            self.routes[replaced[2]] = replaced[4]
            self.commands.append(command)
            if self.silent:
                await self._over.wait()
        else:
            process.stderr.write("RTNETLINK answers: Operation not permitted\n")
            process.exit(2)
            return
        process.exit(0)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncssh.listen(
            HOST,
            self.port,
            server_host_keys=[self._host_key],
            authorized_client_keys=self._authorized,
            process_factory=self._answer,
        )
        self._server = asyncio.run_coroutine_threadsafe(_await(listening), self._loop).result(10)
        return self

    async def _close(self, server: asyncssh.SSHAcceptor) -> None:
        self._over.set()
        server.close()
        await server.wait_closed()

    def stop(self) -> None:
        """Ends it: nobody listens any more."""
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._close(self._server), self._loop).result(10)
            self._server = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _await(listening: object) -> asyncssh.SSHAcceptor:
    return await listening  # type: ignore[misc, no-any-return]  # it is both
