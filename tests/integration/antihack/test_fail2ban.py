"""The client of fail2ban, against the real one."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lab.fail2ban import Fail2ban as Server
from services.security.adapters.fail2ban.client import Fail2banClient
from services.security.adapters.hosts import GatewayHosts
from services.security.antihack.fail2ban import Ban, Fail2ban, Health, SourceBusy, SourceFailed
from services.security.gateways.gateway import Gateway

ZONE = "America/New_York"

MANY = 50_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for the path of a socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="f2h-fail2ban-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    path = Path(tempfile.mkdtemp(prefix="f2h-fail2ban-"))
    logs = {"sshd": path / "sshd.log", "web-1": path / "web.log"}
    with Server(path, logs, time_zone=ZONE) as started:
        yield started
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def empty(server: Server) -> None:
    server.client("unban", "--all")


@pytest.fixture
async def client() -> AsyncIterator[Fail2ban]:
    hosts = GatewayHosts("")
    yield Fail2banClient(hosts)
    await hosts.close()


@pytest.fixture
def gateway(server: Server) -> Gateway:
    return gateway_of(server, ZONE)


def gateway_of(server: Server, time_zone: str = "UTC") -> Gateway:
    return Gateway("gw1", "EU", ("0.0.0.0/0", "::/0"), None, str(server.socket), time_zone)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


def told(server: Server, jail: str, zone: str) -> dict[str, tuple[datetime, datetime | None]]:
    """What fail2ban's own client says of the bans of a jail."""
    printed = server.client("get", jail, "banip", "--with-time")
    bans = {}
    for line in printed.splitlines():
        found = re.fullmatch(r"(\S+) \t(.+) \+ (-?\d+) = (.+)", line)
        assert found is not None
        ip, since, seconds, end = found.groups()
        begin, expires = (
            datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) for text in (since, end)
        )
        bans[ip] = (begin, None if int(seconds) < 0 else expires)
    return bans


def times(bans: Mapping[str, Ban]) -> dict[str, tuple[datetime, datetime | None]]:
    return {ip: (ban.since, ban.expires) for ip, ban in bans.items()}


async def test_jails_are_those_of_the_server(client: Fail2ban, gateway: Gateway) -> None:
    assert await client.jails(gateway) == ["sshd", "web-1"]


async def test_bans_are_those_that_the_peer_made(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    assert not await client.bans(gateway, "sshd")
    begin = datetime.now(UTC)
    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::2", "198.51.100.0/24"]
    server.ban("sshd", *addresses)
    bans = await client.bans(gateway, "sshd")
    assert sorted(bans) == sorted(addresses)
    assert times(bans) == told(server, "sshd", ZONE)
    for ip, ban in bans.items():
        assert ban.ip == ip
        assert ban.jail == "sshd"
        assert begin - timedelta(seconds=1) <= ban.since <= datetime.now(UTC)
        assert ban.expires == ban.since + timedelta(minutes=10)
    assert not await client.bans(gateway, "web-1")


async def test_addresses_are_found_in_canonical_form(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    server.ban(
        "sshd", "2001:DB8:0::00:1", "::ffff:192.0.2.3", "::1.2.3.4", "no address", "fe80::1%lo"
    )
    assert set(await client.bans(gateway, "sshd")) == {"2001:db8::1", "192.0.2.3", "::102:304"}
    for ip in ("2001:db8::1", "192.0.2.3", "::ffff:192.0.2.3", "::102:304"):
        assert await client.holding(gateway, ip) == ["sshd"]
    for ip in ("2001:db8::1", "::ffff:192.0.2.3", "::102:304"):
        assert await client.unban(gateway, "sshd", ip)
    assert sorted(server.banned("sshd")) == ["address", "fe80::1%lo", "no"]


async def test_the_jails_that_hold_an_address(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    server.ban("sshd", "192.0.2.1", "2001:db8::1")
    server.ban("web-1", "192.0.2.1")
    assert await client.holding(gateway, "192.0.2.1") == ["sshd", "web-1"]
    assert await client.holding(gateway, "2001:db8::1") == ["sshd"]
    assert await client.holding(gateway, "192.0.2.9") == []


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
async def test_unbanning_lifts_one_ban_and_says_whether_there_was_one(
    client: Fail2ban, gateway: Gateway, server: Server, ip: str
) -> None:
    server.ban("sshd", ip, "192.0.2.77")
    server.ban("web-1", ip)
    assert await client.unban(gateway, "sshd", ip) is True
    assert server.banned("sshd") == ["192.0.2.77"]
    assert server.banned("web-1") == [ip]
    assert await client.unban(gateway, "sshd", ip) is False
    assert await client.holding(gateway, ip) == ["web-1"]


async def test_a_ban_that_the_peer_lifted_is_gone(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    server.ban("sshd", "192.0.2.1")
    assert server.unban("sshd", "192.0.2.1")
    assert not await client.bans(gateway, "sshd")
    assert not await client.unban(gateway, "sshd", "192.0.2.1")


async def test_a_line_of_a_log_becomes_a_ban(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    with (server.folder / "web.log").open("a") as log:
        log.write(server.refusal("192.0.2.40"))
        log.write(server.refusal("2001:db8::40"))

    async def banned() -> bool:
        return len(await client.bans(gateway, "web-1")) == 2

    await until(banned)
    assert times(await client.bans(gateway, "web-1")) == told(server, "web-1", ZONE)
    assert await client.unban(gateway, "web-1", "192.0.2.40")
    assert server.banned("web-1") == ["2001:db8::40"]


async def test_a_jail_that_is_not_there(client: Fail2ban, gateway: Gateway) -> None:
    with pytest.raises(LookupError, match="no such jail"):
        await client.bans(gateway, "nope")
    with pytest.raises(LookupError, match="no such jail"):
        await client.unban(gateway, "nope", "192.0.2.1")


async def test_settings_of_the_server_are_no_jails(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    before = server.client("get", "logtarget")
    with pytest.raises(ValueError, match="no name of a jail"):
        await client.unban(gateway, "logtarget", "192.0.2.1")
    assert server.client("get", "logtarget") == before


async def test_bans_for_good(client: Fail2ban, folder: Path) -> None:
    with Server(folder, {"forever": folder / "log"}, ban_seconds=-1) as server:
        server.ban("forever", "192.0.2.1", "2001:db8::1")
        bans = await client.bans(gateway_of(server), "forever")
        assert {ip: ban.expires for ip, ban in bans.items()} == {
            "192.0.2.1": None,
            "2001:db8::1": None,
        }
        assert times(bans) == told(server, "forever", "UTC")
        assert await client.unban(gateway_of(server), "forever", "192.0.2.1")
        assert server.banned("forever") == ["2001:db8::1"]


async def test_a_server_without_jails(client: Fail2ban, folder: Path) -> None:
    with Server(folder, {}) as server:
        gateway = gateway_of(server)
        assert await client.jails(gateway) == []
        assert await client.holding(gateway, "192.0.2.1") == []


async def test_a_server_that_is_stopped_and_comes_back(client: Fail2ban, folder: Path) -> None:
    with Server(folder, {"sshd": folder / "log"}) as server:
        gateway = gateway_of(server)
        server.stop()
        for call in (
            client.jails(gateway),
            client.bans(gateway, "sshd"),
            client.holding(gateway, "192.0.2.1"),
            client.unban(gateway, "sshd", "192.0.2.1"),
        ):
            with pytest.raises(SourceFailed) as raised:
                await call
            assert raised.value.health is Health.NOT_RUNNING
        server.start()
        assert await client.jails(gateway) == ["sshd"]


async def test_the_ban_runs_the_given_action_and_the_unban_its_opposite(
    client: Fail2ban, folder: Path
) -> None:
    blocked = folder / "blocked"
    action = [f"actionban = echo <ip> >> {blocked}", f"actionunban = echo not <ip> >> {blocked}"]
    with Server(folder, {"sshd": folder / "log"}, action=action) as server:
        server.ban("sshd", "192.0.2.1")

        async def done() -> bool:
            return blocked.exists()

        await until(done)
        # It is answered when the action has ended.
        assert await client.unban(gateway_of(server), "sshd", "192.0.2.1")
        assert blocked.read_text().splitlines() == ["192.0.2.1", "not 192.0.2.1"]


async def test_many_at_once_are_all_served_one_after_the_other(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    addresses = [f"192.0.2.{n}" for n in range(60)]
    server.ban("sshd", *addresses)
    calls = [client.unban(gateway, "sshd", ip) for ip in addresses]
    assert await asyncio.gather(*calls) == [True] * 60
    assert not server.banned("sshd")


async def test_a_thousand_at_once_are_served_or_refused_and_nothing_hangs(
    client: Fail2ban, gateway: Gateway, server: Server
) -> None:
    server.ban("sshd", "192.0.2.1")
    calls = [client.holding(gateway, "192.0.2.1") for _ in range(1000)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers.count(["sshd"]) == 65
    assert sum(isinstance(answer, SourceBusy) for answer in answers) == 1000 - 65


async def test_fifty_thousand_bans(client: Fail2ban, gateway: Gateway, server: Server) -> None:
    addresses = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(MANY)]
    server.ban("sshd", *addresses)
    begin = time.monotonic()
    bans = await client.bans(gateway, "sshd")
    read = time.monotonic() - begin
    begin = time.monotonic()
    expected = told(server, "sshd", ZONE)
    asked = time.monotonic() - begin
    print(f"{MANY} bans: {read:.3f} s, fail2ban-client and reading it {asked:.3f} s")
    assert len(bans) == MANY
    assert read < 5
    assert times(bans) == expected
    begin = time.monotonic()
    assert await client.holding(gateway, addresses[-1]) == ["sshd"]
    assert await client.unban(gateway, "sshd", addresses[-1])
    assert time.monotonic() - begin < 1
    assert len(await client.bans(gateway, "sshd")) == MANY - 1
