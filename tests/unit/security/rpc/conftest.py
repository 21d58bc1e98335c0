"""security's servicers within the layers that every call goes through, on what stands in for the
world around them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import grpc.aio
import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.security.v1 import antihack_pb2_grpc, antispam_pb2_grpc, gateway_pb2_grpc
from f2h.security.v1 import spam_block_pb2_grpc as spam_block_grpc
from sqlalchemy import delete

from services.runtime import server
from services.runtime.access import CATALOGUE, Audience, Role, rules
from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import PrincipalVerifier
from services.security.__main__ import MIGRATIONS
from services.security.antihack.bans import Bans
from services.security.antihack.status import ReadAntihack
from services.security.antihack.unban import Unban
from services.security.antispam.block import Blocks
from services.security.antispam.gates import MailGates
from services.security.antispam.manage import ManageBlocks
from services.security.antispam.status import ReadAntispam
from services.security.antispam.unblock import RequestUnblock
from services.security.antispam.waiting import doubling
from services.security.bootstrap import MODULES
from services.security.rpc.antihack import AntihackServicer
from services.security.rpc.antispam import AntispamServicer
from services.security.rpc.gateways import GatewayServicer
from services.security.rpc.spam_blocks import SpamBlockServicer
from services.security.store.ban_counts import SqlBanCounts
from services.security.store.blocks import SqlBlocks
from services.security.store.tables import BanCountRow, SpamBlockRow, UnblockingRow
from tests.unit.security.fakes import (
    NS1,
    NS2,
    FakeBlocklist,
    FakeClock,
    FakeFail2ban,
    FakeGate,
    FakeGateways,
    FakeInventory,
    Told,
)
from tests.unit.serving import PATIENCE_SECONDS, SIGNING_KEY, Metadata, new_address, served, signed

RULES = rules(*MODULES)
ONE_SERVER = Policy(CATALOGUE, ["ns1.example.net"])
BOTH_SERVERS = Policy(CATALOGUE, ["ns1.example.net", "ns2.example.net"])

Result = TypeVar("Result")


@dataclass
class World:
    """What is around the servicers."""

    clock: FakeClock = field(default_factory=FakeClock)
    inventory: FakeInventory = field(default_factory=FakeInventory)
    gateways: FakeGateways = field(default_factory=FakeGateways)
    fail2ban: FakeFail2ban = field(init=False)
    gate: FakeGate = field(default_factory=FakeGate)
    blocklist: FakeBlocklist = field(init=False)
    told: Told = field(default_factory=Told)
    database: Database = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)

    def __post_init__(self) -> None:
        self.fail2ban = FakeFail2ban(self.clock)
        self.blocklist = FakeBlocklist(self.clock)

    @property
    def blocks(self) -> Blocks:
        return SqlBlocks(self.database)

    @property
    def counts(self) -> SqlBanCounts:
        return SqlBanCounts(self.database)

    def run(self, do: Callable[[], Awaitable[Result]]) -> Result:
        """Does something where the service runs."""
        assert threading.current_thread() is threading.main_thread()

        async def doing() -> Result:
            return await do()

        return asyncio.run_coroutine_threadsafe(doing(), self.loop).result(PATIENCE_SECONDS)

    def clear(self) -> None:
        """Empties the world for the next test. What was read before is too old then."""
        self.clock.pass_(86400)
        fresh = World(clock=self.clock)
        for part in ("inventory", "gateways", "fail2ban", "gate", "blocklist", "told"):
            vars(getattr(self, part)).clear()
            vars(getattr(self, part)).update(vars(getattr(fresh, part)))
        self.inventory.servers = [NS1, NS2]
        self.run(self._forget)

    async def _forget(self) -> None:
        async with self.database.write() as session:
            for table in (BanCountRow, SpamBlockRow, UnblockingRow):
                await session.execute(delete(table))


async def _policy(digest: bytes, _header: str) -> Policy:
    for policy in (ONE_SERVER, BOTH_SERVERS):
        if policy.digest() == digest:
            return policy
    raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no such policy")


def _add_services(world: World, to: grpc.aio.Server) -> None:
    bans = Bans(world.fail2ban, world.clock)
    antihack = AntihackServicer(
        world.inventory,
        ReadAntihack(world.gateways, bans, world.counts),
        Unban(world.gateways, world.fail2ban, bans, world.clock),
        world.clock,
    )
    antihack_pb2_grpc.add_AntihackServiceServicer_to_server(antihack, to)
    antispam = AntispamServicer(
        world.inventory,
        ReadAntispam(world.blocks, world.blocklist),
        RequestUnblock(world.blocks, world.blocklist, world.clock, uuid4),
        world.blocks,
        world.clock,
    )
    antispam_pb2_grpc.add_AntispamServiceServicer_to_server(antispam, to)
    gateway_pb2_grpc.add_GatewayServiceServicer_to_server(GatewayServicer(world.gateways), to)
    manage = ManageBlocks(
        world.inventory,
        world.blocks,
        MailGates(world.gateways, world.blocks, world.gate),
        world.told,
        clock=world.clock,
        wait=doubling(timedelta(hours=1), timedelta(days=7)),
    )
    spam_block_grpc.add_SpamBlockServiceServicer_to_server(SpamBlockServicer(manage), to)


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def everywhere() -> World:
    return World()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str, everywhere: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.aio.Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('security') / 'security.db'}"
    migrate(url, MIGRATIONS)

    @asynccontextmanager
    async def build() -> AsyncIterator[grpc.aio.Server]:
        everywhere.loop = asyncio.get_running_loop()
        everywhere.database = Database(url)
        verifier = PrincipalVerifier({1: SIGNING_KEY.public_key()}, system_clock)
        identify = Identify(RULES, verifier, PolicyCache(_policy))
        layers = Layers(report, identify, Admit(RULES), validate, Grant(RULES))
        yield server.build(layers, lambda to: _add_services(everywhere, to))
        await everywhere.database.close()

    with served(build, lambda built: built, grpc_addr) as built:
        yield built


@pytest.fixture
def world(everywhere: World, grpc_server: grpc.aio.Server) -> World:
    """The world, as it is before anything happened."""
    everywhere.clear()
    return everywhere


@pytest.fixture
def customer(world: World) -> Metadata:
    """Whose server ns1 is, with a key for it."""
    return signed(
        audience=Audience.CUSTOMER,
        account="demo",
        subject="c" * 16,
        policy_digest=ONE_SERVER.digest(),
    )


@pytest.fixture
def neighbour(world: World) -> Metadata:
    """Whose server ns2 is, with a key that names ns1 too."""
    return signed(audience=Audience.CUSTOMER, account="other", policy_digest=BOTH_SERVERS.digest())


@pytest.fixture
def person(world: World) -> Metadata:
    """Somebody of the account who may look."""
    return signed(audience=Audience.SESSION, account="demo", subject="e" * 16, role=Role.READ_ONLY)


@pytest.fixture
def noc(world: World) -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)
