from functools import partial
from typing import Any

import pytest
from f2h.security.v1 import gateway_pb2, gateway_pb2_grpc

from tests.unit.security.fakes import gateway
from tests.unit.security.rpc.calls import refusal
from tests.unit.security.rpc.conftest import World
from tests.unit.serving import Metadata, fields_of, info_of

Stub = gateway_pb2_grpc.GatewayServiceStub

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop gw"
LOGIN = gateway_pb2.SshLogin(address="192.0.2.1", user="f2h", host_key=HOST_KEY)


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


def form(**fields: Any) -> gateway_pb2.PutGatewayRequest:
    filled = {"name": "gw1", "region": "EU", "networks": ["203.0.113.0/24"], **fields}
    return gateway_pb2.PutGatewayRequest(**filled)


def listed(stub: Stub, who: Metadata) -> list[gateway_pb2.Gateway]:
    return [*stub.ListGateways(gateway_pb2.ListGatewaysRequest(), metadata=who).gateways]


def test_what_is_not_said_of_a_gateway_is_as_usual(grpc_stub: Stub, noc: Metadata) -> None:
    made = grpc_stub.PutGateway(form(ssh=LOGIN), metadata=noc)
    assert made == gateway_pb2.Gateway(
        name="gw1",
        region="EU",
        networks=["203.0.113.0/24"],
        ssh=gateway_pb2.SshLogin(address="192.0.2.1", port=22, user="f2h", host_key=HOST_KEY),
        fail2ban_socket="/var/run/fail2ban/fail2ban.sock",
        time_zone="UTC",
        mail_gate=False,
    )
    assert listed(grpc_stub, noc) == [made]


def test_what_is_said_of_a_gateway_is_kept(grpc_stub: Stub, noc: Metadata) -> None:
    said = {
        "networks": ["203.0.113.0/24", "2001:db8::/32"],
        "fail2ban_socket": "/run/f2b.sock",
        "time_zone": "Europe/Paris",
        "mail_gate": True,
    }
    made = grpc_stub.PutGateway(form(**said), metadata=noc)
    assert {name: getattr(made, name) for name in said} == said
    assert not made.HasField("ssh")


def test_networks_and_addresses_are_kept_in_canonical_form(grpc_stub: Stub, noc: Metadata) -> None:
    networks = ["2001:DB8:0:0::/64"]
    login = gateway_pb2.SshLogin(
        address="::ffff:192.0.2.1", port=2222, user="f2h", host_key=LOGIN.host_key
    )
    made = grpc_stub.PutGateway(form(networks=networks, ssh=login), metadata=noc)
    assert [*made.networks] == ["2001:db8::/64"]
    assert (made.ssh.address, made.ssh.port) == ("192.0.2.1", 2222)


def test_gateways_are_listed_by_name_each_as_it_was_said_last(
    grpc_stub: Stub, noc: Metadata
) -> None:
    for name in ("gw2", "gw1", "gw10"):
        grpc_stub.PutGateway(form(name=name, ssh=LOGIN), metadata=noc)
    grpc_stub.PutGateway(form(name="gw2", region="US"), metadata=noc)
    found = listed(grpc_stub, noc)
    assert [each.name for each in found] == ["gw1", "gw10", "gw2"]
    assert (found[2].region, found[2].HasField("ssh")) == ("US", False)


@pytest.mark.parametrize(("page_size", "pages"), [(0, 2), (1, 60), (7, 9), (60, 1), (100, 1)])
def test_pages_have_every_gateway_once(
    grpc_stub: Stub, world: World, noc: Metadata, page_size: int, pages: int
) -> None:
    names = sorted(f"gw{number}" for number in range(60))
    for name in names:
        world.run(partial(world.gateways.put, gateway(name)))
    found: list[str] = []
    token, asked = "", 0
    while token or not asked:
        request = gateway_pb2.ListGatewaysRequest(page_size=page_size, page_token=token)
        page = grpc_stub.ListGateways(request, metadata=noc)
        found += [each.name for each in page.gateways]
        token, asked = page.next_page_token, asked + 1
        assert asked <= pages
    assert (found, asked) == (names, pages)


def test_a_page_begins_behind_the_one_before_also_when_its_last_gateway_is_gone(
    grpc_stub: Stub, noc: Metadata
) -> None:
    for name in ("gw1", "gw2", "gw3"):
        grpc_stub.PutGateway(form(name=name), metadata=noc)
    first = grpc_stub.ListGateways(gateway_pb2.ListGatewaysRequest(page_size=2), metadata=noc)
    grpc_stub.DeleteGateway(gateway_pb2.DeleteGatewayRequest(name="gw2"), metadata=noc)
    request = gateway_pb2.ListGatewaysRequest(page_token=first.next_page_token)
    assert [each.name for each in grpc_stub.ListGateways(request, metadata=noc).gateways] == ["gw3"]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("page_token", {"page_token": "?"}),
        ("page_token", {"page_token": "/w=="}),
        ("page_token", {"page_token": "A" * 513}),
        ("page_size", {"page_size": -1}),
        ("page_size", {"page_size": 101}),
    ],
)
def test_a_wrong_page_is_refused_and_named(
    grpc_stub: Stub, noc: Metadata, field: str, fields: dict[str, Any]
) -> None:
    refused = refusal(grpc_stub.ListGateways, gateway_pb2.ListGatewaysRequest(**fields), noc)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])


def test_a_gateway_is_forgotten_once(grpc_stub: Stub, noc: Metadata) -> None:
    grpc_stub.PutGateway(form(), metadata=noc)
    request = gateway_pb2.DeleteGatewayRequest(name="gw1")
    grpc_stub.DeleteGateway(request, metadata=noc)
    assert listed(grpc_stub, noc) == []
    assert info_of(refusal(grpc_stub.DeleteGateway, request, noc)).reason == "NOT_FOUND"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": "GW1"}),
        ("name", {"name": "-gw"}),
        ("name", {"name": "a" * 64}),
        ("region", {"region": ""}),
        ("region", {"region": "eu"}),
        ("networks", {"networks": []}),
        ("networks", {"networks": ["203.0.113.0/24", "203.0.113.0/24"]}),
        ("networks[0]", {"networks": ["203.0.113.5/24"]}),
        ("networks[0]", {"networks": ["203.0.113.0"]}),
        ("networks[1]", {"networks": ["203.0.113.0/24", "everything"]}),
        ("networks", {"networks": ["203.0.113.0/24", "::ffff:198.51.100.0/120"]}),
        ("networks", {"networks": ["::FFFF:0:0/96"]}),
        ("fail2ban_socket", {"fail2ban_socket": "fail2ban.sock"}),
        ("fail2ban_socket", {"fail2ban_socket": "/run/a b"}),
        ("time_zone", {"time_zone": "Europe/Nowhere"}),
        ("time_zone", {"time_zone": "Europe"}),
        ("time_zone", {"time_zone": "../etc/passwd"}),
        ("ssh.address", {"ssh": {"address": "gw1.example.net"}}),
        ("ssh.address", {"ssh": {"address": "fe80::1%eth0"}}),
        ("ssh.user", {"ssh": {"user": "-oProxyCommand"}}),
        ("ssh.port", {"ssh": {"port": 65536}}),
        ("ssh.host_key", {"ssh": {"host_key": ""}}),
        ("ssh.host_key", {"ssh": {"host_key": "ssh-ed25519 AAAA\nssh-ed25519 BBBB"}}),
        ("ssh.host_key", {"ssh": {"host_key": "ssh-ed25519 AAAA gw"}}),
        ("ssh.host_key", {"ssh": {"host_key": HOST_KEY.replace("AAAAI", "AAAAJ")}}),
        ("ssh.host_key", {"ssh": {"host_key": HOST_KEY.replace("ed25519", "rsa")}}),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(
    grpc_stub: Stub, noc: Metadata, field: str, fields: dict[str, Any]
) -> None:
    if "ssh" in fields:
        login = {"address": "192.0.2.1", "user": "f2h", "host_key": LOGIN.host_key}
        fields = {"ssh": gateway_pb2.SshLogin(**{**login, **fields["ssh"]})}
    status = refusal(grpc_stub.PutGateway, form(**fields), noc)
    assert info_of(status).reason == "INVALID_REQUEST"
    assert fields_of(status) == [field]
    assert listed(grpc_stub, noc) == []
