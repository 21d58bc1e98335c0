"""What machines that boot can ask for, and what they cannot."""

import json

import pytest
from f2h.server_ops.v1 import netboot_pb2
from google.api import httpbody_pb2

from tests.edge.conftest import Edge
from tests.edge.contract import RPCS, rest
from tools.contract import Audience, Rpc

NODES = [rpc for rpc in RPCS if rpc.rule and Audience.NODE in rpc.rule.audiences]
OTHERS = [rpc for rpc in RPCS if rpc not in NODES]


def test_the_first_script_asks_for_the_machines_own(edge: Edge) -> None:
    answer = edge.provisioning.rest("GET", "/boot.ipxe", key=None)
    assert answer.status == 200
    lines = answer.body.decode().splitlines()
    assert lines[0] == "#!ipxe"
    assert "/netboot/script?mac=${netX/mac:hexhyp}&uuid=${uuid}" in lines[1]
    assert lines[1].endswith("|| exit 1")


def test_a_script_comes_as_it_is_and_nobody_is_authorized(edge: Edge) -> None:
    script = httpbody_pb2.HttpBody(content_type="text/plain", data=b"#!ipxe\nexit 1\n")
    edge.services["server_ops"].answer = lambda _call: script.SerializeToString()
    headers = {"X-F2H-Principal": "forged", "Authorization": "Bearer x", "Cookie": "a=b"}
    answer = edge.provisioning.rest(
        "GET", "/netboot/script?mac=0c-c4-7a-00-00-01&uuid=", key="f2h.x.y", headers=headers
    )
    assert (answer.status, answer.body) == (200, b"#!ipxe\nexit 1\n")
    assert answer.headers["content-type"] == "text/plain"
    [call] = edge.services["server_ops"].seen
    asked = netboot_pb2.GetBootScriptRequest.FromString(call.request)
    assert asked.mac == "0c-c4-7a-00-00-01"
    assert not {*call.metadata} & {"x-api-key", "x-f2h-principal", "authorization", "cookie"}
    assert not edge.auth.seen


@pytest.mark.parametrize("rpc", OTHERS, ids=lambda rpc: rpc.path)
def test_no_other_call_passes(edge: Edge, rpc: Rpc) -> None:
    if rpc.http is not None:
        verb, path, body, headers = rest(rpc)
        assert edge.provisioning.rest(verb, path, body=body, headers=headers).status == 404
    assert edge.provisioning.grpc(rpc.path).reason == "NOT_FOUND"
    assert not edge.reached()


def test_files_of_images_are_served_and_no_others(edge: Edge) -> None:
    (edge.images / "rescue").mkdir(exist_ok=True)
    content = bytes(range(256)) * 4096
    (edge.images / "rescue" / "vmlinuz").write_bytes(content)
    answer = edge.provisioning.rest("GET", "/images/rescue/vmlinuz", key=None)
    assert (answer.status, answer.body) == (200, content)
    part = edge.provisioning.rest(
        "GET", "/images/rescue/vmlinuz", key=None, headers={"Range": "bytes=256-511"}
    )
    assert (part.status, part.body) == (206, bytes(range(256)))
    (edge.images.parent / "images-secret").write_text("secret")
    for path in (
        "/images/rescue",
        "/images/rescue/",
        "/images/",
        "/images/nothing",
        "/images/../envoy.json",
        "/images/%2e%2e/envoy.json",
        "/images/..%2fenvoy.json",
        "/images/rescue/../../envoy.json",
        "/images//../envoy.json",
        "/images-secret",
        "/imagesrescue/vmlinuz",
        "/images/" + str(edge.config.absolute()),
    ):
        refused = edge.provisioning.rest("GET", path, key=None)
        assert refused.status in {400, 403, 404}, (path, refused.status)
        assert b"static_resources" not in refused.body


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
def test_files_of_images_are_only_read(edge: Edge, verb: str) -> None:
    (edge.images / "kept").write_text("kept")
    answer = edge.provisioning.rest(verb, "/images/kept", key=None, body=b"changed")
    assert answer.status in {400, 404, 405}
    assert (edge.images / "kept").read_text() == "kept"


def test_errors_have_the_one_form(edge: Edge) -> None:
    answer = edge.provisioning.rest("GET", "/nothing", key=None)
    assert answer.status == 404
    assert json.loads(answer.body)["details"][0]["reason"] == "NOT_FOUND"


@pytest.mark.parametrize("client", ["public", "internal"])
def test_other_listeners_boot_nobody(edge: Edge, client: str) -> None:
    (edge.images / "kept").write_text("kept")
    for path in ("/boot.ipxe", "/images/kept", "/netboot/script?mac=0c-c4-7a-00-00-01"):
        assert edge.client(client).rest("GET", path).status == 404
