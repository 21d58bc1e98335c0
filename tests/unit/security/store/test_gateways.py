import pytest

from services.runtime.database import Database
from services.security.gateways.gateway import SshLogin
from services.security.store.gateways import SqlGateways
from tests.unit.security.fakes import gateway

LOGIN = SshLogin("192.0.2.1", 2222, "f2h", "ssh-ed25519 AAAA gw")


@pytest.fixture
def gateways(database: Database) -> SqlGateways:
    return SqlGateways(database)


async def test_what_is_kept_is_what_is_found(gateways: SqlGateways) -> None:
    far = gateway("gw2", ssh=LOGIN, socket="/run/f2b.sock", time_zone="Europe/Paris")
    near = gateway("gw1", region="US", networks=("203.0.113.0/24",), mail_gate=True)
    await gateways.put(far)
    await gateways.put(near)
    assert await gateways.all() == [near, far]


async def test_a_gateway_takes_the_place_of_the_one_of_its_name(gateways: SqlGateways) -> None:
    await gateways.put(gateway("gw1", ssh=LOGIN, mail_gate=True))
    other = gateway("gw1", region="US", networks=("192.0.2.0/24",))
    await gateways.put(other)
    assert await gateways.all() == [other]


async def test_a_gateway_is_forgotten_once(gateways: SqlGateways) -> None:
    await gateways.put(gateway("gw1"))
    await gateways.put(gateway("gw2"))
    assert await gateways.delete("gw1")
    assert not await gateways.delete("gw1")
    assert await gateways.all() == [gateway("gw2")]


async def test_without_gateways_there_are_none(gateways: SqlGateways) -> None:
    assert await gateways.all() == []
