import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.server_ops.v1 import address_pb2, address_pb2_grpc
from google.rpc import code_pb2

from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from services.runtime.paging import encode_token
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.bmc.endpoint import Protocol
from services.server_ops.inventory.server import Server
from services.server_ops.rpc.addresses import AddressServicer
from services.server_ops.store.ips import SqlIps
from services.server_ops.store.servers import SqlServers
from tests.unit.server_ops.rpc.serving import STRANGERS, own_name, refusal, serve, stranger
from tests.unit.serving import fields_of, info_of, new_address

Stub = address_pb2_grpc.AddressServiceStub
Located = address_pb2.LocatedServer

OF = {
    "ns1.example.net": ("demo", ("203.0.113.9", "2001:db8::9")),
    "ns2.example.net": ("other", ("203.0.113.90",)),
}
FAILOVER = {"198.51.100.2": "ns1.example.net", "198.51.100.1": "ns1.example.net"}
EVERY = {ip: name for name, (_, ips) in OF.items() for ip in ips} | FAILOVER

NS1 = Located(
    hostname="ns1.example.net",
    account="demo",
    ips=["203.0.113.9", "2001:db8::9", "198.51.100.1", "198.51.100.2"],
)
NS2 = Located(hostname="ns2.example.net", account="other", ips=["203.0.113.90"])

CALLS = [
    ("LocateServer", address_pb2.LocateServerRequest(hostname="ns1.example.net")),
    ("ListAddresses", address_pb2.ListAddressesRequest()),
]


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


def stores(database: Database) -> tuple[SqlServers, SqlIps]:
    return SqlServers(database, Sealer({1: bytes(32)})), SqlIps(database)


async def fill(url: str) -> None:
    database = Database(url)
    servers, ips = stores(database)
    for number, (hostname, (account, own)) in enumerate(OF.items(), 1):
        server = Server(
            hostname=hostname,
            account=account,
            ips=own,
            datacenter="EU-WEST",
            mac=f"52:54:00:00:00:0{number}",
            bmc_protocol=Protocol.IPMI,
            bmc_address=f"192.0.2.{number}",
            bmc_port=623,
            create_time=system_clock(),
        )
        await servers.put(server, b"user", b"password")
    for ip, hostname in FAILOVER.items():
        await ips.put_failover(ip, hostname)
    await database.close()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.aio.Server]:
    folder: Path = tmp_path_factory.mktemp("server_ops")
    url = f"sqlite:///{folder / 'server_ops.db'}"
    migrate(url, MIGRATIONS)
    asyncio.run(fill(url))
    database = Database(url)
    servicer = AddressServicer(*stores(database))

    def add(to: grpc.aio.Server) -> None:
        address_pb2_grpc.add_AddressServiceServicer_to_server(servicer, to)

    with serve(address_pb2, grpc_addr, add, database.close) as built:
        yield built


def locate(stub: Stub, **asked: str) -> Located:
    return stub.LocateServer(
        address_pb2.LocateServerRequest(**asked), metadata=own_name(), timeout=10
    )


def test_a_server_is_found_by_its_name_with_all_of_its_addresses(grpc_stub: Stub) -> None:
    assert locate(grpc_stub, hostname="ns1.example.net") == NS1
    assert locate(grpc_stub, hostname="ns2.example.net") == NS2


@pytest.mark.parametrize(
    "ip",
    [
        "203.0.113.9",
        "::ffff:203.0.113.9",
        "::FFFF:cb00:7109",
        "2001:db8::9",
        "2001:DB8:0:0::0009",
        "198.51.100.1",  # a failover address
    ],
)
def test_a_server_is_found_by_each_of_its_addresses_in_whatever_form(
    grpc_stub: Stub, ip: str
) -> None:
    assert locate(grpc_stub, ip=ip) == NS1


@pytest.mark.parametrize(
    "asked",
    [
        {"hostname": "nobody.example.net"},
        {"hostname": "ns1"},
        {"ip": "203.0.113.10"},
        {"ip": "203.0.113.0"},
        {"ip": "::203.0.113.9"},  # no mapped address
        {"ip": "2001:db8::90"},
    ],
)
def test_what_no_server_has_is_an_empty_answer(grpc_stub: Stub, asked: dict[str, str]) -> None:
    assert locate(grpc_stub, **asked) == Located()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "hostname"),
        ({"hostname": "ns1.example.net", "ip": "203.0.113.9"}, "hostname"),
        ({"ip": "ns1.example.net"}, "ip"),
        ({"ip": "203.0.113.0/24"}, "ip"),
        ({"ip": "203.0.113.09"}, "ip"),
        ({"hostname": "n" * 254}, "hostname"),
    ],
)
def test_a_question_that_is_none_is_refused(
    grpc_stub: Stub, asked: dict[str, str], field: str
) -> None:
    request = address_pb2.LocateServerRequest(**asked)
    status = refusal(grpc_stub.LocateServer, request, own_name())
    assert (status.code, info_of(status).reason) == (code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert fields_of(status) == [field]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 6])
def test_pages_have_every_address_once_with_whose_it_is(grpc_stub: Stub, size: int) -> None:
    found: list[address_pb2.ListAddressesResponse.Located] = []
    token = ""
    while True:
        request = address_pb2.ListAddressesRequest(page_size=size, page_token=token)
        page = grpc_stub.ListAddresses(request, metadata=own_name(), timeout=10)
        assert len(page.addresses) <= (size or 1000)
        found += page.addresses
        assert len(found) <= len(EVERY)
        token = page.next_page_token
        if not token:
            break
    assert [each.ip for each in found] == sorted(EVERY)
    assert {each.ip: each.hostname for each in found} == EVERY
    assert all(each.account == OF[each.hostname][0] for each in found)


def test_pages_go_on_where_the_address_that_ended_one_is_gone(grpc_stub: Stub) -> None:
    request = address_pb2.ListAddressesRequest(page_token=encode_token("203.0.113.8"))
    page = grpc_stub.ListAddresses(request, metadata=own_name(), timeout=10)
    assert [each.ip for each in page.addresses] == ["203.0.113.9", "203.0.113.90"]


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("page_token", address_pb2.ListAddressesRequest(page_token="?")),
        ("page_token", address_pb2.ListAddressesRequest(page_token="AA==")),
        ("page_size", address_pb2.ListAddressesRequest(page_size=-1)),
        ("page_size", address_pb2.ListAddressesRequest(page_size=10_001)),
    ],
)
def test_a_page_that_is_none_is_refused(
    grpc_stub: Stub, field: str, request_: address_pb2.ListAddressesRequest
) -> None:
    assert fields_of(refusal(grpc_stub.ListAddresses, request_, own_name())) == [field]


@pytest.mark.parametrize(("name", "request_"), CALLS)
@pytest.mark.parametrize("kind", STRANGERS)
def test_nobody_but_our_services_may_ask(
    grpc_stub: Stub, name: str, request_: object, kind: str
) -> None:
    status = refusal(getattr(grpc_stub, name), request_, stranger(kind))
    assert (status.code, info_of(status).reason) == (
        code_pb2.PERMISSION_DENIED,
        "AUDIENCE_NOT_ALLOWED",
    )


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_who_is_not_known_may_not_ask(grpc_stub: Stub, name: str, request_: object) -> None:
    rpc = getattr(grpc_stub, name)
    foreign = Ed25519PrivateKey.generate()
    for metadata in ((), own_name(key=foreign), own_name("other")):
        assert info_of(refusal(rpc, request_, metadata)).reason == "PRINCIPAL_INVALID"
