"""What servers boot, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.runtime.database import Database, migrate
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.bmc.endpoint import Protocol
from services.server_ops.inventory.server import Server
from services.server_ops.netboot.boot import Access, Boot, Installation, begun, digest, scripted
from services.server_ops.netboot.image import ImageFile
from services.server_ops.netboot.netboot import BootType, LastBoot, Netboot
from services.server_ops.store.netboots import SqlNetboots
from services.server_ops.store.servers import SqlServers
from tests.unit.server_ops.netboot.test_boot import EXPIRE, IMAGE, NOW

HOST = "ns1.example.net"
ACCESS = Access(("ssh-ed25519 AAAA",), "$2b$12$hash", "canary-password")


class Stores:
    def __init__(self, database: Database) -> None:
        sealer = Sealer({1: bytes(32)})
        self.database = database
        self.netboots = SqlNetboots(database, sealer)
        self.servers = SqlServers(database, sealer)

    async def put(self, hostname: str = HOST, **changes: str) -> None:
        server = Server(
            hostname=hostname,
            account="acme",
            ips=(),
            datacenter="EU-WEST-F2H",
            mac="0c:c4:7a:00:00:01",
            bmc_protocol=Protocol.IPMI,
            bmc_address="192.0.2.1",
            bmc_port=623,
            create_time=NOW,
        )
        await self.servers.put(replace(server, **changes), b"admin", b"x")  # type: ignore[arg-type]


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[Stores]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    made = Stores(database)
    await made.put()
    yield made
    await database.close()


def boot(number: int, boot_type: BootType = BootType.RESCUE) -> Boot:
    return Boot(UUID(int=number), HOST, boot_type, IMAGE, EXPIRE)


async def test_a_boot_is_kept_as_it_was_planned(stores: Stores) -> None:
    installation = Installation(
        template="tiny",
        command_line="{{ hostname }}",
        documents={"user-data": "{{ ssh_keys }}"},
        names={"hostname": "web-1", "server": {"ips": ["192.0.2.1"]}},
        disk_image=ImageFile("tiny/disk.raw.gz", "1" * 64),
        disk_image_bytes=7,
    )
    planned = replace(
        boot(1, BootType.INSTALL), installation=installation, first_boot_digest=digest("f")
    )
    await stores.netboots.plan(planned, ACCESS)
    assert await stores.netboots.boot(planned.operation) == planned
    assert await stores.netboots.by_first_boot_token(digest("f")) == planned
    changed = await stores.netboots.update(
        planned.operation, lambda b: begun(scripted(b, "t"), "r", NOW)
    )
    assert await stores.netboots.by_token(digest("t")) == changed
    assert await stores.netboots.by_report_token(digest("r")) == changed
    assert (await stores.netboots.find(HOST)).boot_type is BootType.INSTALL


async def test_a_plan_ends_those_before_it(stores: Stores) -> None:
    for number in (1, 2, 3):
        await stores.netboots.plan(boot(number), ACCESS)
    assert await stores.netboots.boot(UUID(int=1)) is None
    second, third = [await stores.netboots.boot(UUID(int=number)) for number in (2, 3)]
    assert second
    assert third
    assert (second.over, third.over) == (True, False)
    await stores.netboots.unplan(HOST)
    third = await stores.netboots.boot(UUID(int=3))
    assert third
    assert third.over
    assert await stores.netboots.find(HOST) == Netboot()


async def test_what_was_booted_last_outlives_what_is_planned(stores: Stores) -> None:
    last = LastBoot(BootType.RESCUE, NOW + timedelta(seconds=1))
    await stores.netboots.booted(HOST, last)
    await stores.netboots.plan(boot(1), ACCESS)
    assert (await stores.netboots.find(HOST)).last_boot == last
    view = await stores.servers.find(HOST)
    assert view
    assert view.netboot == await stores.netboots.find(HOST)


async def test_a_password_is_read_once_however_many_ask(stores: Stores) -> None:
    await stores.netboots.plan(boot(1), ACCESS)
    read = await asyncio.gather(*(stores.netboots.take_password(UUID(int=1)) for _ in range(10)))
    assert sorted(read) == [""] * 9 + ["canary-password"]
    assert await stores.netboots.access(UUID(int=1)) == replace(ACCESS, password="")
    assert await stores.netboots.take_password(UUID(int=2)) == ""


async def test_a_machine_is_known_by_its_uuid_before_its_mac(stores: Stores) -> None:
    uuid = "4c4c4544-0051-3610-8052-b4c04f4d3132"
    mac = "0c:c4:7a:00:00:01"
    assert await stores.netboots.machine(mac, uuid) == HOST
    await stores.put("ns2.example.net", uuid=uuid, bmc_address="192.0.2.2")
    assert await stores.netboots.machine(mac, uuid) == "ns2.example.net"
    # Two servers have this one: nobody is chosen.
    assert await stores.netboots.machine(mac, "") is None
    assert await stores.netboots.machine("02:00:00:00:00:01", "") is None


async def test_nothing_of_a_boot_outlives_its_server_or_its_account(stores: Stores) -> None:
    await stores.netboots.plan(boot(1), ACCESS)
    await stores.put(account="other")
    assert await stores.netboots.boot(UUID(int=1)) is None
    assert await stores.netboots.find(HOST) == Netboot()
    await stores.netboots.plan(boot(2), ACCESS)
    await stores.servers.delete(HOST)
    assert await stores.netboots.boot(UUID(int=2)) is None
