from typing import Any

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc, mcp_pb2, mcp_pb2_grpc
from google.protobuf import json_format

from services.runtime.access import CATALOGUE, Audience
from services.runtime.policy import Policy
from tests.unit.serving import Metadata, info_of, signed, status_of

SERVER = "ns1.example.net"
ANY_KEYS = {"cancel_operation"}


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[mcp_pb2_grpc.McpServiceStub]:
    return mcp_pb2_grpc.McpServiceStub


def holder(channel: grpc.Channel, *capabilities: str) -> Metadata:
    """Somebody with a key that has these capabilities."""
    form = key_pb2.CreateKeyRequest(account="demo", servers=[SERVER], capabilities=capabilities)
    key_pb2_grpc.KeyServiceStub(channel).CreateKey(form, metadata=signed(audience=Audience.NOC))
    digest = Policy(capabilities, [SERVER]).digest()
    return signed(audience=Audience.CUSTOMER, account="demo", policy_digest=digest)


def listed(stub: Any, metadata: Metadata) -> dict[str, dict[str, Any]]:
    answer = stub.ListTools(mcp_pb2.ListToolsRequest(), metadata=metadata)
    tools = json_format.MessageToDict(answer)["tools"]
    return {tool["name"]: tool for tool in tools}


@pytest.mark.parametrize(
    ("capability", "tools"),
    [
        ("server.reboot", {"reboot_server"}),
        ("antispam.unblock", {"unblock_antispam", "get_antispam_operation"}),
        ("ptr.update", {"get_ptr", "set_ptr", "delete_ptr"}),
        ("rescue.exit", {"exit_rescue"}),
        ("console.attach", set()),  # streams are no tools
    ],
)
def test_a_key_is_shown_the_tools_of_its_capabilities_and_no_other(
    grpc_stub: Any, grpc_channel: grpc.Channel, capability: str, tools: set[str]
) -> None:
    assert listed(grpc_stub, holder(grpc_channel, capability)).keys() == tools | ANY_KEYS


def test_every_capability_together_shows_every_tool(
    grpc_stub: Any, grpc_channel: grpc.Channel
) -> None:
    alone = [listed(grpc_stub, holder(grpc_channel, each)).keys() for each in CATALOGUE]
    together = listed(grpc_stub, holder(grpc_channel, *CATALOGUE)).keys()
    assert together == {name for names in alone for name in names}


def test_a_tool_is_described_as_the_protocol_wants_it(
    grpc_stub: Any, grpc_channel: grpc.Channel
) -> None:
    tool = listed(grpc_stub, holder(grpc_channel, "server.reboot"))["reboot_server"]
    assert tool["title"] == "Reboot server"
    assert "DESTRUCTIVE" in tool["description"]
    assert "`server.reboot`" in tool["description"]
    assert tool["inputSchema"]["type"] == "object"
    assert tool["inputSchema"]["required"] == ["hostname"]
    assert tool["annotations"]["destructiveHint"] is True


def test_who_has_no_key_is_shown_nothing(grpc_stub: Any) -> None:
    for metadata in ((), signed(audience=Audience.NOC)):
        with pytest.raises(grpc.RpcError) as refused:
            grpc_stub.ListTools(mcp_pb2.ListToolsRequest(), metadata=metadata)
        assert info_of(status_of(refused.value)).reason in {
            "PRINCIPAL_INVALID",
            "AUDIENCE_NOT_ALLOWED",
        }
