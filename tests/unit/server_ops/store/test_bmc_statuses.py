"""What is known of BMCs, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.runtime.database import Database, migrate
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.bmc.endpoint import Protocol
from services.server_ops.bmc.observation import PowerState
from services.server_ops.inventory.server import Server
from services.server_ops.ipmi.status import contacted, expected
from services.server_ops.store.bmc_statuses import SqlBmcStatuses
from services.server_ops.store.servers import SqlServers
from tests.unit.server_ops.bmc.fake_bmc import IDENTITY

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Stores:
    def __init__(self, database: Database) -> None:
        self.servers = SqlServers(database, Sealer({1: bytes(32)}))
        self.statuses = SqlBmcStatuses(database)

    async def put(self, number: int) -> str:
        """A server that is registered."""
        hostname = f"ns{number}.example.net"
        server = Server(
            hostname=hostname,
            account="acme",
            ips=(f"203.0.113.{number}",),
            datacenter="EU-WEST-F2H",
            mac="0c:c4:7a:00:00:01",
            bmc_protocol=Protocol.IPMI,
            bmc_address=f"192.0.2.{number}",
            bmc_port=623,
            create_time=NOW,
        )
        await self.servers.put(server, b"admin", b"x")
        return hostname


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[Stores]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield Stores(database)
    await database.close()


async def test_what_is_known_is_kept_and_forgotten_with_the_registration(stores: Stores) -> None:
    host = await stores.put(1)
    known = await stores.statuses.update(
        host, lambda s: expected(contacted(s, PowerState.OFF, IDENTITY, NOW), PowerState.ON, NOW)
    )
    assert known is not None
    assert known.identity == IDENTITY
    assert await stores.statuses.find(host) == known
    await stores.put(1)
    assert (await stores.statuses.find(host)).identity is None
    await stores.servers.delete(host)
    assert await stores.statuses.update(host, lambda s: s) is None


async def test_each_due_check_is_claimed_once_by_however_many(stores: Stores) -> None:
    hosts = [await stores.put(number) for number in range(1, 13)]
    claims = await asyncio.gather(*(stores.statuses.claim_due(NOW, MINUTE, 5) for _ in range(6)))
    claimed = [host for claim in claims for host in claim]
    while more := await stores.statuses.claim_due(NOW, MINUTE, 5):
        claimed += more
    assert sorted(claimed) == sorted(hosts)
    assert all(len(claim) <= 5 for claim in claims)


async def test_checks_are_due_again_after_about_the_interval(stores: Stores) -> None:
    host = await stores.put(1)
    assert await stores.statuses.claim_due(NOW, MINUTE, 5) == [host]
    assert await stores.statuses.claim_due(NOW + MINUTE * 0.89, MINUTE, 5) == []
    assert await stores.statuses.claim_due(NOW + MINUTE * 1.11, MINUTE, 5) == [host]


async def test_a_refused_login_is_remembered_until_the_server_is_registered_anew(
    stores: Stores,
) -> None:
    host = await stores.put(1)
    endpoint = await stores.servers.bmc(host)
    assert endpoint is not None
    assert not endpoint.refused
    await stores.servers.bmc_refused(endpoint)
    refused = await stores.servers.bmc(host)
    assert refused is not None
    assert refused.refused
    await stores.put(1)
    anew = await stores.servers.bmc(host)
    assert anew is not None
    assert not anew.refused
    await stores.servers.bmc_refused(endpoint)  # late, of the registration before
    later = await stores.servers.bmc(host)
    assert later == anew
