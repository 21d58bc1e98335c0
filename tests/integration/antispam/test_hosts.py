"""Gateways behind a real sshd: their sockets, their commands, and the connection that is kept."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from lab.ports import free_port
from lab.sshd import Sshd
from services.security.adapters.hosts import GatewayHosts
from services.security.adapters.ssh_line import SESSIONS
from services.security.gateways.gateway import Gateway, SshLogin
from services.security.gateways.host import HostUnreachable, NothingListens
from tests.integration.conftest import eventually

KEY = asyncssh.generate_private_key("ssh-ed25519")
PRIVATE, PUBLIC = KEY.export_private_key().decode(), KEY.export_public_key().decode()


@dataclass
class Far:
    """A gateway behind an sshd."""

    sshd: Sshd
    gateway: Gateway

    def logins(self) -> int:
        """How often somebody has logged in to it."""
        return (self.sshd.folder / "log").read_text().count("Accepted publickey")

    def connections(self) -> list[int]:
        """The processes that serve its connections."""
        assert self.sshd._process is not None
        pid = self.sshd._process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    port = free_port()
    with Sshd(tmp_path / "sshd", PUBLIC, address="127.0.0.1", port=port) as sshd:
        eventually(lambda: "listening" in (sshd.folder / "log").read_text())
        login = SshLogin("127.0.0.1", port, "root", sshd.host_key)
        yield Far(sshd, Gateway("far", "US", ("192.0.2.0/24",), login))


@pytest.fixture
async def hosts() -> AsyncIterator[GatewayHosts]:
    made = GatewayHosts(PRIVATE, seconds=10)
    yield made
    await made.close()


@pytest.fixture
async def hurried() -> AsyncIterator[GatewayHosts]:
    """Hosts that wait for nothing long."""
    made = GatewayHosts(PRIVATE, seconds=2)
    yield made
    await made.close()


@asynccontextmanager
async def echoing(path: Path) -> AsyncIterator[None]:
    """A server that sends every line back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_unix_server(serve, path, limit=2**24):
        yield


async def test_a_socket_is_spoken_to(far: Far, hosts: GatewayHosts, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    content = os.urandom(500_000).replace(b"\n", b" ") + b"\n"
    async with echoing(path), hosts.connect(far.gateway, str(path)) as talk:
        await talk.write(content)
        read = b""
        while len(read) < len(content):
            read += await talk.read(1000)
        assert read == content


async def test_nothing_listens_where_there_is_no_socket(
    far: Far, hosts: GatewayHosts, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with pytest.raises(NothingListens):
            async with hosts.connect(far.gateway, str(path)):
                pass
    async with echoing(path), hosts.connect(far.gateway, str(path)) as talk:
        await talk.write(b"there now\n")
        assert await talk.read(100) == b"there now\n"
    assert far.logins() == 1


async def test_a_silent_socket_is_not_waited_for(
    far: Far, hurried: GatewayHosts, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    async with echoing(path), hurried.connect(far.gateway, str(path)) as talk:
        with pytest.raises(HostUnreachable, match="in time"):
            await talk.read(1)


async def test_a_conversation_does_not_end_quietly_when_its_connection_breaks(
    far: Far, hosts: GatewayHosts, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    async with echoing(path), hosts.connect(far.gateway, str(path)) as talk:
        for pid in far.connections():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(HostUnreachable, match="broke"):
            await talk.read(1)


async def test_a_command_runs(far: Far, hosts: GatewayHosts) -> None:
    ran = await hosts.run(far.gateway, "cat; echo unseen >&2; exit 3", b"\0content")
    assert (ran.exit_status, ran.output) == (3, b"\0content")
    assert (await hosts.run(far.gateway, "echo done", bytes(1_000_000))).output == b"done\n"
    assert (await hosts.run(far.gateway, "head -c 3000000 /dev/zero")).output == bytes(3_000_000)
    assert (await hosts.run(far.gateway, "/no/such/command")).exit_status == 127


async def test_an_output_without_end_is_not_read_to_its_end(far: Far) -> None:
    hosts = GatewayHosts(PRIVATE, longest_answer=1_000_000)
    with pytest.raises(HostUnreachable, match="more than is read"):
        await hosts.run(far.gateway, "cat /dev/zero")
    assert (await hosts.run(far.gateway, "echo here")).output == b"here\n"
    await hosts.close()


async def test_many_calls_at_once_share_one_connection(far: Far, hosts: GatewayHosts) -> None:
    count = 4 * SESSIONS
    done = await asyncio.gather(
        *(hosts.run(far.gateway, "cat", str(number).encode()) for number in range(count))
    )
    assert [ran.output for ran in done] == [str(number).encode() for number in range(count)]
    assert far.logins() == 1


async def test_commands_that_hang_do_not_use_a_gateway_up(far: Far, hurried: GatewayHosts) -> None:
    for _ in range(2):
        hanging = [hurried.run(far.gateway, "sleep 15") for _ in range(SESSIONS)]
        for answer in await asyncio.gather(*hanging, return_exceptions=True):
            assert isinstance(answer, HostUnreachable)
        assert (await hurried.run(far.gateway, "echo here")).output == b"here\n"
    await asyncio.to_thread(eventually, lambda: len(far.connections()) == 1)


async def test_another_host_key_than_the_registered_one_is_not_talked_to(
    far: Far, hosts: GatewayHosts
) -> None:
    assert far.gateway.ssh is not None
    impostor = replace(far.gateway, ssh=replace(far.gateway.ssh, host_key=PUBLIC))
    with pytest.raises(HostUnreachable, match="another host key"):
        await hosts.run(impostor, "true")
    assert far.logins() == 0


async def test_a_login_that_is_refused_is_said_to_be(far: Far) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    hosts = GatewayHosts(other)
    with pytest.raises(HostUnreachable, match="refused our login"):
        await hosts.run(far.gateway, "true")
    with pytest.raises(HostUnreachable, match="refused our login"):
        async with hosts.connect(far.gateway, "/socket"):
            pass
    await hosts.close()


async def test_a_changed_login_is_used_at_once(far: Far, hosts: GatewayHosts) -> None:
    assert far.gateway.ssh is not None
    await hosts.run(far.gateway, "true")
    changed = replace(far.gateway, ssh=replace(far.gateway.ssh, user="nobody-of-this-name"))
    with pytest.raises(HostUnreachable, match="refused our login"):
        await hosts.run(changed, "true")


async def test_a_connection_that_was_lost_is_made_anew(far: Far, hosts: GatewayHosts) -> None:
    for logins in (1, 2, 3):
        assert (await hosts.run(far.gateway, "echo here")).output == b"here\n"
        assert far.logins() == logins
        for pid in far.connections():
            os.kill(pid, signal.SIGKILL)


async def test_a_connection_that_went_silent_is_made_anew(far: Far, hurried: GatewayHosts) -> None:
    await hurried.run(far.gateway, "true")
    [frozen] = far.connections()
    os.kill(frozen, signal.SIGSTOP)
    try:
        with pytest.raises(HostUnreachable, match="in time"):
            await hurried.run(far.gateway, "true")
        deadline = time.monotonic() + 20
        while True:
            try:
                assert (await hurried.run(far.gateway, "echo here")).output == b"here\n"
                break
            except HostUnreachable:  # after two seconds
                assert time.monotonic() < deadline
    finally:
        os.kill(frozen, signal.SIGKILL)
    assert far.logins() == 2


async def test_a_connection_that_nobody_uses_is_closed(far: Far) -> None:
    hosts = GatewayHosts(PRIVATE, idle_seconds=0.1)
    for logins in (1, 2):
        await hosts.run(far.gateway, "true")
        assert far.logins() == logins
        await asyncio.to_thread(eventually, lambda: not far.connections())
    await hosts.close()


async def test_a_connection_that_is_used_is_not_closed(far: Far, tmp_path: Path) -> None:
    hosts = GatewayHosts(PRIVATE, idle_seconds=0.01)
    path = tmp_path / "socket"
    async with echoing(path), hosts.connect(far.gateway, str(path)) as talk:
        await hosts.run(far.gateway, "sleep 0.2")
        await talk.write(b"still here\n")
        assert await talk.read(100) == b"still here\n"
    assert far.logins() == 1
    await hosts.close()


async def test_closing_ends_the_connections(far: Far, hosts: GatewayHosts) -> None:
    await hosts.run(far.gateway, "true")
    await hosts.close()
    await asyncio.to_thread(eventually, lambda: not far.connections())


async def test_closing_does_not_wait_for_who_does_not_answer() -> None:
    # 192.0.2.0/24 is for documentation: nobody answers, or nobody routes it.
    gateway = Gateway("none", "US", (), SshLogin("192.0.2.1", 22, "root", PUBLIC))
    hosts = GatewayHosts(PRIVATE, seconds=60)
    running = asyncio.create_task(hosts.run(gateway, "true"))
    await asyncio.sleep(0)
    began = time.monotonic()
    await hosts.close()
    with pytest.raises(HostUnreachable):
        await running
    assert time.monotonic() - began < 5


async def test_a_gateway_whose_sshd_has_stopped_is_unreachable(
    far: Far, hosts: GatewayHosts, tmp_path: Path
) -> None:
    await hosts.run(far.gateway, "true")
    assert far.sshd._process is not None
    serving = far.connections()
    far.sshd._process.stop()
    for pid in serving:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(HostUnreachable, match="cannot be reached"):
        await hosts.run(far.gateway, "true")
    with pytest.raises(HostUnreachable, match="cannot be reached"):
        async with hosts.connect(far.gateway, str(tmp_path / "socket")):
            pass
