"""Gateways' operating systems: of this machine, and of others over SSH."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    suppress,
)
from typing import cast

import asyncssh

from services.security.adapters.ssh_line import BROKEN, Line
from services.security.gateways.gateway import Gateway, SshLogin
from services.security.gateways.host import Conversation, HostUnreachable, NothingListens, Ran

LONGEST_PATH = 107
"""Of a Unix socket, in bytes: `sun_path` of unix(7) without the zero at its end."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C",
}
"""All that a command on this machine is told. What this service itself was given are secrets."""

_LATE = "It did not answer in time."
_LONG = "It answered with more than is read."
_NOTHING = "Nothing listens at its socket."


class GatewayHosts:
    """Implements Hosts. Of each gateway behind SSH one connection is kept while it is used."""

    def __init__(
        self,
        key: str,
        *,
        seconds: float = 5.0,
        idle_seconds: float = 60.0,
        longest_answer: int = 16 * 1024 * 1024,
    ) -> None:
        """`key` is a private key as OpenSSH writes it, empty: none is set up.

        Every call has so many `seconds`, logging in included. A connection that was not used for
        `idle_seconds` is closed. A command may write `longest_answer` bytes.

        Raises ValueError: the key is none.
        """
        self._key = asyncssh.import_private_key(key) if key else None
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._longest_answer = longest_answer
        self._lines: dict[tuple[str, SshLogin], Line] = {}

    def connect(
        self, gateway: Gateway, path: str
    ) -> AbstractAsyncContextManager[Conversation, None]:
        """See Hosts."""
        if gateway.ssh is None:
            connecting = self._connect_here(path)
        else:
            connecting = self._connect_there(gateway.name, gateway.ssh, path)
        # Neither hides an error of what is done inside.
        return cast(AbstractAsyncContextManager[Conversation, None], connecting)

    async def run(self, gateway: Gateway, command: str, stdin: bytes = b"") -> Ran:
        """See Hosts. A shell reads the command, here as over SSH."""
        try:
            async with asyncio.timeout(self._seconds):
                if gateway.ssh is None:
                    return await self._run_here(command, stdin)
                return await self._run_there(gateway.name, gateway.ssh, command, stdin)
        except TimeoutError:
            raise HostUnreachable(_LATE) from None

    async def close(self) -> None:
        """See Hosts."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.end()
        await asyncio.gather(*(line.ended() for line in lines))

    @asynccontextmanager
    async def _connect_here(self, path: str) -> AsyncIterator[Conversation]:
        _check(path)
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_unix_connection(path)
        except TimeoutError:
            raise HostUnreachable(_LATE) from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise NothingListens(_NOTHING) from None
        except OSError:
            raise HostUnreachable("Its socket does not let us in.") from None
        try:
            yield _Streams(reader, writer, self._seconds)
        finally:
            # Nothing that was sent waits here, but for another side that has stopped reading.
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    @asynccontextmanager
    async def _connect_there(
        self, name: str, login: SshLogin, path: str
    ) -> AsyncIterator[Conversation]:
        _check(path)
        line = self._line(name, login)
        with line.used():
            try:
                async with asyncio.timeout(self._seconds):
                    reader, writer = await line.open(
                        lambda connection: connection.open_unix_connection(path),
                        lambda streams: streams[1].channel.abort(),
                    )
            except TimeoutError:
                raise HostUnreachable(_LATE) from None
            except asyncssh.ChannelOpenError as error:
                if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                    raise HostUnreachable("It does not let us open sockets.") from None
                # OpenSSH says no more than that it failed.
                raise NothingListens(_NOTHING) from None
            try:
                yield _Streams(reader, writer, self._seconds)
            finally:
                writer.channel.abort()

    async def _run_here(self, command: str, stdin: bytes) -> Ran:
        process = _Process(self._longest_answer)
        starting = asyncio.ensure_future(_start(process, command))
        try:
            # Not awaited itself: cancelled while it starts, asyncio would kill the shell alone.
            await asyncio.wait({starting})
            transport = starting.result()
            pipe = transport.get_pipe_transport(0)
            assert isinstance(pipe, asyncio.WriteTransport)  # noqa: S101 - for the type
            pipe.write(stdin)
            pipe.close()  # as soon as all is written
            await process.ended.wait()
            status = transport.get_returncode()
        except OSError:
            raise HostUnreachable("It starts no command.") from None
        finally:
            await asyncio.wait({starting})
            if starting.exception() is None:
                await _end(starting.result(), process)
        if process.too_long or status is None:
            raise HostUnreachable(_LONG)
        return Ran(status, bytes(process.output))

    async def _run_there(self, name: str, login: SshLogin, command: str, stdin: bytes) -> Ran:
        line = self._line(name, login)
        with line.used():
            async with line.sessions:
                try:
                    process = await line.open(
                        lambda connection: connection.create_process(
                            command, encoding=None, stderr=asyncssh.DEVNULL
                        ),
                        _kill,
                    )
                except asyncssh.ChannelOpenError:
                    raise HostUnreachable("It runs no command of ours.") from None
                try:
                    return await self._ran(process, stdin)
                except (OSError, asyncssh.Error):
                    raise HostUnreachable(BROKEN) from None
                finally:
                    if process.exit_status is None:
                        # sshd counts it as a session until it ends, and kills none for root.
                        line.retire()
                    _kill(process)

    async def _ran(self, process: asyncssh.SSHClientProcess[bytes], stdin: bytes) -> Ran:
        with suppress(BrokenPipeError):  # it ended without reading
            process.stdin.write(stdin)
            process.stdin.write_eof()
        output = bytearray()
        while part := await process.stdout.read(64 * 1024):
            output += part
            if len(output) > self._longest_answer:
                raise HostUnreachable(_LONG)
        await process.wait()
        if process.exit_status is None:
            raise HostUnreachable(BROKEN)
        return Ran(process.exit_status, bytes(output))

    def _line(self, name: str, login: SshLogin) -> Line:
        if self._key is None:
            raise HostUnreachable("There is no key to log in to it with.")
        which = name, login
        line = self._lines.get(which)
        if line is None:

            def forget() -> None:
                del self._lines[which]

            line = Line(login, self._key, self._seconds, self._idle_seconds, forget)
            self._lines[which] = line
        return line


class _Streams:
    """Implements Conversation."""

    def __init__(
        self,
        reader: asyncio.StreamReader | asyncssh.SSHReader[bytes],
        writer: asyncio.StreamWriter | asyncssh.SSHWriter[bytes],
        seconds: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._seconds = seconds

    async def read(self, most: int) -> bytes:
        """See Conversation."""
        async with self._bounded():
            return await self._reader.read(most)

    async def write(self, content: bytes) -> None:
        """See Conversation."""
        async with self._bounded():
            self._writer.write(content)
            await self._writer.drain()

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError:
            raise HostUnreachable(_LATE) from None
        except (OSError, asyncssh.Error):
            raise HostUnreachable(BROKEN) from None


class _Process(asyncio.SubprocessProtocol):
    """What a command on this machine writes, and when it has ended."""

    def __init__(self, longest_answer: int) -> None:
        self.output = bytearray()
        self.too_long = False
        self.complete = False
        self.ended = asyncio.Event()
        """It is complete, or too long."""
        self.exited = asyncio.Event()
        self._longest_answer = longest_answer
        self._wrote_all = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - one is read
        """More of its output."""
        self.too_long = self.too_long or len(self.output) + len(data) > self._longest_answer
        if self.too_long:
            self.ended.set()
        else:
            self.output += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        """A pipe to it has closed."""
        if fd == 1:
            self._wrote_all = True
            self._look()

    def process_exited(self) -> None:
        """It has ended. What it started may still write."""
        self.exited.set()
        self._look()

    def _look(self) -> None:
        if self._wrote_all and self.exited.is_set():
            self.complete = True
            self.ended.set()


def _check(path: str) -> None:
    """Raises HostUnreachable: no Unix socket has such a path."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise HostUnreachable("The path of its socket is too long.")


async def _start(process: "_Process", command: str) -> asyncio.SubprocessTransport:
    """Runs a shell with the command. Raises OSError."""
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: process,
        "/bin/sh",
        "-c",
        command,
        stderr=asyncio.subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,  # what it starts is of its group, and is killed with it
    )
    return transport


async def _end(transport: asyncio.SubprocessTransport, process: "_Process") -> None:
    """Kills a shell and what it started, unless it has ended."""
    if not process.complete:
        with suppress(OSError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
    with suppress(OSError):  # of a process of root's, which we may not kill
        transport.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.exited.wait(), 1)


def _kill(process: asyncssh.SSHClientProcess[bytes]) -> None:
    if process.exit_status is None:
        with suppress(OSError):  # the channel has ended
            process.kill()
    process.channel.abort()
