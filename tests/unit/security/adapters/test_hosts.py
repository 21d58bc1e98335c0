"""The operating system of a gateway that is this machine."""

import asyncio
import os
import select
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from services.security.adapters.hosts import LONGEST_PATH, GatewayHosts
from services.security.gateways.gateway import Gateway, SshLogin
from services.security.gateways.host import HostUnreachable, NothingListens
from tests.unit.serving import PATIENCE_SECONDS

HERE = Gateway("here", "EU", ("192.0.2.0/24",), None)
HOSTS = GatewayHosts("", seconds=5)
HURRIED = GatewayHosts("", seconds=0.2)


@asynccontextmanager
async def listening(path: Path, answer: bytes, *, after: bytes) -> AsyncIterator[None]:
    """A server that answers when it has read so much, and ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(after)
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield


async def test_a_conversation_is_written_and_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(path, b"pong", after=b"\n"), HOSTS.connect(HERE, str(path)) as talk:
        await talk.write(b"ping\n")
        assert await talk.read(2) == b"po"
        assert await talk.read(100) == b"ng"
        assert await talk.read(100) == b""


async def test_nothing_listens_at_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NothingListens):
        async with HOSTS.connect(HERE, str(tmp_path / "socket")):
            pass


async def test_nothing_listens_at_the_socket_that_a_stopped_server_left(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with pytest.raises(NothingListens):
        async with HOSTS.connect(HERE, path):
            pass


async def test_a_path_that_leads_nowhere_is_no_silence_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostUnreachable, match="does not let us in"):
        async with HOSTS.connect(HERE, str(tmp_path / "file" / "socket")):
            pass


@pytest.mark.parametrize("ssh", [None, SshLogin("192.0.2.1", 22, "root", "")])
async def test_a_path_that_no_socket_can_have_is_not_tried(ssh: SshLogin | None) -> None:
    gateway = Gateway("g", "EU", (), ssh)
    with pytest.raises(HostUnreachable, match="too long"):
        async with HOSTS.connect(gateway, "/" + "x" * LONGEST_PATH):
            pass


async def test_a_silent_server_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(path, b"", after=b"\n"), HURRIED.connect(HERE, str(path)) as talk:
        with pytest.raises(HostUnreachable, match="in time"):
            await talk.read(1)


async def test_a_server_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        async with HURRIED.connect(HERE, path) as talk:
            with pytest.raises(HostUnreachable, match="in time"):
                await talk.write(bytes(10_000_000))


async def test_a_server_that_breaks_off_is_unreachable(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        async with HOSTS.connect(HERE, path) as talk:
            server.accept()[0].close()
            with pytest.raises(HostUnreachable, match="broke"):
                for _ in range(10):
                    await talk.write(bytes(1_000_000))


async def test_a_command_is_given_its_input_and_its_output_is_told() -> None:
    ran = await HOSTS.run(HERE, "cat; echo unseen >&2; exit 3", b"\0content")
    assert (ran.exit_status, ran.output) == (3, b"\0content")


async def test_a_command_that_does_not_read_its_input_runs_all_the_same() -> None:
    assert (await HOSTS.run(HERE, "echo done", bytes(1_000_000))).output == b"done\n"


async def test_a_command_that_is_not_there_ends_with_a_status() -> None:
    assert (await HOSTS.run(HERE, "/no/such/command")).exit_status == 127


async def test_a_long_output_is_read_whole() -> None:
    ran = await HOSTS.run(HERE, "head -c 8000000 /dev/zero")
    assert ran.output == bytes(8_000_000)


async def test_an_output_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(HostUnreachable, match="more than is read"):
        await GatewayHosts("", longest_answer=1_000_000).run(HERE, "cat /dev/zero")


@pytest.mark.parametrize("command", ["sleep 300 & sleep 300", "sleep 300 & true"])
async def test_at_the_deadline_a_command_is_killed_with_its_children(
    tmp_path: Path, command: str
) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    began = time.monotonic()
    with pytest.raises(HostUnreachable, match="in time"):
        await GatewayHosts("", seconds=0.5).run(HERE, f"exec 9>{held}; echo >&9; {command}")
    assert time.monotonic() - began < 5
    os.set_blocking(reader, True)
    assert os.read(reader, 10) == b"\n"
    async with asyncio.timeout(5):  # until nobody holds its other end
        assert await asyncio.to_thread(os.read, reader, 10) == b""
    os.close(reader)


async def test_a_command_that_nobody_waits_for_any_more_is_killed(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    running = asyncio.create_task(HOSTS.run(HERE, f"exec 9>{held}; echo >&9; sleep 300"))
    with await asyncio.to_thread(open, held, "rb") as reader:
        assert await asyncio.to_thread(reader.readline) == b"\n"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(reader.read) == b""


async def test_a_command_that_is_given_up_while_it_starts_is_killed(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    running = asyncio.create_task(HOSTS.run(HERE, f"exec 9>{held}; echo >&9; sleep 300"))
    for _ in range(50):  # steps of the loop, one by one: it runs, and nobody has noticed it yet
        if select.select([reader], [], [], 0.1)[0]:
            break
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    os.set_blocking(reader, True)
    assert os.read(reader, 10) == b"\n"
    async with asyncio.timeout(5):  # until nobody holds its other end
        assert await asyncio.to_thread(os.read, reader, 10) == b""
    os.close(reader)


async def test_a_command_is_told_nothing_that_this_service_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("F2H_SECURITY_SECRET", "hunter2")
    told = (await HOSTS.run(HERE, "env")).output.decode().split()
    assert {line.partition("=")[0] for line in told} == {"PATH", "LANG", "PWD"}


async def test_without_a_key_no_gateway_behind_ssh_is_tried() -> None:
    gateway = Gateway("far", "US", (), SshLogin("192.0.2.1", 22, "root", ""))
    with pytest.raises(HostUnreachable, match="no key"):
        await HOSTS.run(gateway, "true")
    with pytest.raises(HostUnreachable, match="no key"):
        async with HOSTS.connect(gateway, "/socket"):
            pass


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
            HostUnreachable("does not let us open sockets"),
        ),
        (asyncssh.OPEN_CONNECT_FAILED, NothingListens("Nothing listens")),
    ],
)
async def test_a_gateway_that_forbids_sockets_is_none_where_nothing_listens(
    code: int, error: Exception
) -> None:
    class Refusing(asyncssh.SSHServer):
        """Lets everybody in, and opens no socket."""

        def begin_auth(self, username: str) -> bool:
            return False

        def unix_connection_requested(self, dest_path: str) -> bool:
            raise asyncssh.ChannelOpenError(code, "No.")

    host_key = asyncssh.generate_private_key("ssh-ed25519")
    own_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Refusing, server_host_keys=[host_key]
    )
    public = host_key.export_public_key().decode().strip()
    login = SshLogin("127.0.0.1", server.get_port(), "f2h", public)
    hosts = GatewayHosts(own_key, seconds=PATIENCE_SECONDS)
    try:
        with pytest.raises(type(error), match=str(error)):
            async with hosts.connect(Gateway("far", "US", (), login), "/run/socket"):
                pass
    finally:
        await hosts.close()
        server.close()
        await server.wait_closed()


async def test_a_host_key_that_is_none_is_said_to_be_none() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    gateway = Gateway("far", "US", (), SshLogin("192.0.2.1", 22, "root", "ssh-ed25519 garbage"))
    hosts = GatewayHosts(key)
    with pytest.raises(HostUnreachable, match="host key"):
        await hosts.run(gateway, "true")
    await hosts.close()
