"""The simulated fail2ban answers as the real one does."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.fail2ban import Fail2ban
from lab.fail2ban_sim import Fail2banSim
from services.security.adapters.fail2ban.client import Fail2banClient
from services.security.adapters.hosts import GatewayHosts
from services.security.gateways.gateway import Gateway

JAILS = {"sshd-203.0.113.9": {"192.0.2.66": 600, "2001:db8::1": 600}, "recidive": {}}


@pytest.fixture(params=["real", "simulated"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway whose fail2ban has just made these bans."""
    folder = Path(tempfile.mkdtemp(prefix="f2h-"))
    with ExitStack() as exits:
        exits.callback(shutil.rmtree, folder)
        path = folder / "sim"
        if request.param == "real":
            logs = {jail: folder / f"{jail}.log" for jail in JAILS}
            server = exits.enter_context(Fail2ban(folder / "f", logs, ban_seconds=600))
            for jail, bans in JAILS.items():
                server.ban(jail, *bans)
            path = server.socket
        else:
            exits.enter_context(Fail2banSim(path, JAILS, time.time))
        yield Gateway("gw1", "EU", (), None, str(path))


async def test_what_is_asked_of_fail2ban_is_answered(gateway: Gateway) -> None:
    hosts = GatewayHosts("")
    client = Fail2banClient(hosts)
    assert sorted(await client.jails(gateway)) == sorted(JAILS)
    for jail, bans in JAILS.items():
        told = await client.bans(gateway, jail)
        assert {*told} == {*bans}
        for ip, seconds in bans.items():
            ban = told[ip]
            assert abs(ban.since.timestamp() - time.time()) < 30
            assert ban.expires is not None
            assert (ban.expires - ban.since).total_seconds() == seconds
    jail = "sshd-203.0.113.9"
    assert await client.holding(gateway, "192.0.2.66") == [jail]
    assert await client.unban(gateway, jail, "192.0.2.66") is True
    assert await client.unban(gateway, jail, "192.0.2.66") is False
    assert await client.holding(gateway, "192.0.2.66") == []
    assert {*await client.bans(gateway, jail)} == {"2001:db8::1"}
    for question in (client.bans(gateway, "none"), client.unban(gateway, "none", "192.0.2.66")):
        with pytest.raises(LookupError):
            await question
    await hosts.close()


async def test_bans_of_the_simulated_one_end_or_last_for_good() -> None:
    now = 1_767_323_045.0
    folder = Path(tempfile.mkdtemp(prefix="f2h-"))
    hosts = GatewayHosts("")
    with Fail2banSim(folder / "s", {"a-b": {"192.0.2.1": 60, "192.0.2.2": -1}}, lambda: now):
        client, gateway = Fail2banClient(hosts), Gateway("g", "EU", (), None, str(folder / "s"))
        bans = await client.bans(gateway, "a-b")
        assert bans["192.0.2.2"].expires is None
        now += 60
        assert [*await client.bans(gateway, "a-b")] == ["192.0.2.2"]
    await hosts.close()
    shutil.rmtree(folder)
