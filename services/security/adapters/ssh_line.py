"""The SSH connection to a gateway that is kept while it is used."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncssh

from services.runtime import ssh
from services.security.gateways.gateway import SshLogin
from services.security.gateways.host import HostUnreachable

_T = TypeVar("_T")

SESSIONS = 8
"""How many commands run at once on one SSH connection. OpenSSH admits 10 (MaxSessions), and refuses
further ones.
"""

BROKEN = "The connection to it broke."


class Line:
    """The SSH connection of one login: made when it is needed, and made anew when it has broken."""

    def __init__(
        self,
        login: SshLogin,
        key: asyncssh.SSHKey,
        seconds: float,
        idle_seconds: float,
        forget: Callable[[], None],
    ) -> None:
        """`forget` is called when nobody is to use it any more: it was idle for `idle_seconds`, or
        is retired.
        """
        self.sessions = asyncio.Semaphore(SESSIONS)
        self._login = login
        self._key = key
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._forget = forget
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._attempt: asyncio.Task[asyncssh.SSHClientConnection | HostUnreachable] | None = None
        self._over = False

    @contextmanager
    def used(self) -> Iterator[None]:
        """It is in use inside."""
        self._users += 1
        if self._timer is not None:
            self._timer.cancel()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users and self._over:
                self.end()
            elif not self._users:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._idle_seconds, self._unused)

    async def open(
        self,
        opening: Callable[[asyncssh.SSHClientConnection], Awaitable[_T]],
        abandon: Callable[[_T], None],
    ) -> _T:
        """A channel. `abandon` ends one that nobody waits for any more when it is open.

        Raises HostUnreachable, and asyncssh.ChannelOpenError: the other side opens none.
        """
        while True:
            kept = self._made()
            connection = await self._connection()
            # A cancelled opening would stay open at the other side, which admits so many.
            task = asyncio.ensure_future(opening(connection))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                task.add_done_callback(lambda done: _abandon(done, abandon))
                raise
            except asyncssh.ChannelOpenError as refused:
                # That the connection has ended is known after the next turn of the loop.
                await asyncio.sleep(0)
                if not connection.is_closed():
                    raise
                # The one that was kept had ended before: nothing was asked on it yet.
                if connection is not kept or refused.code != asyncssh.OPEN_CONNECT_FAILED:
                    raise HostUnreachable(BROKEN) from None
            except (OSError, asyncssh.Error):
                raise HostUnreachable(BROKEN) from None

    def retire(self) -> None:
        """Who uses it goes on, and nobody else begins."""
        if not self._over:
            self._over = True
            self._forget()

    def end(self) -> None:
        """Ends the connection, for good."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._attempt is not None:
            self._attempt.cancel()
        if made := self._made():
            made.close()

    async def ended(self) -> None:
        """Returns when it has ended."""
        if self._attempt is not None:
            await asyncio.wait([self._attempt])
        if made := self._made():
            await made.wait_closed()

    def _unused(self) -> None:
        self.retire()
        self.end()

    def _lives(self) -> bool:
        """Whether there is a connection, or one is being made."""
        if self._attempt is not None and not self._attempt.done():
            return True
        made = self._made()
        return made is not None and not made.is_closed()

    def _made(self) -> asyncssh.SSHClientConnection | None:
        attempt = self._attempt
        if attempt is None or not attempt.done() or attempt.cancelled():
            return None
        made = attempt.result()
        return made if isinstance(made, asyncssh.SSHClientConnection) else None

    async def _connection(self) -> asyncssh.SSHClientConnection:
        if self._attempt is None or not self._lives():
            if self._over:
                raise HostUnreachable(BROKEN)
            self._attempt = asyncio.create_task(self._connect())
        # All who come meanwhile wait for the same one, and it does not end with the first of them.
        try:
            made = await asyncio.shield(self._attempt)
        except asyncio.CancelledError:
            if self._attempt.cancelled():
                raise HostUnreachable(BROKEN) from None
            raise
        if isinstance(made, HostUnreachable):
            raise HostUnreachable(str(made))
        return made

    async def _connect(self) -> asyncssh.SSHClientConnection | HostUnreachable:
        """Logs in. Errors are answers: it may be that nobody waits any more."""
        login = self._login
        try:
            return await ssh.connect(
                login.address,
                login.port,
                user=login.user,
                host_key=login.host_key,
                key=self._key,
                seconds=self._seconds,
                # One that went silent is given up after two of these.
                keepalive_interval=self._seconds,
                keepalive_count_max=1,
            )
        except ssh.SshFailed as failed:
            return HostUnreachable(str(failed))


def _abandon(done: asyncio.Future[_T], abandon: Callable[[_T], None]) -> None:
    if not done.cancelled() and done.exception() is None:
        abandon(done.result())
