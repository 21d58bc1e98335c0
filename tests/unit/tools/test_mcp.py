"""The tools of AI agents are what the contract says."""

import re
from typing import Any

import pytest
from f2h.access.v1 import effect_pb2
from google.protobuf import descriptor_pb2
from jsonschema import Draft202012Validator

from services.runtime.access import Audience, rule_of
from tools import contract, gen, mcp
from tools.openapi.source import Source

IMAGE = gen.read()
SOURCE = Source(IMAGE)
TOOLS = {each["definition"]["name"]: each for each in mcp.tools(IMAGE)}


@pytest.fixture(params=sorted(TOOLS))
def tool(request: pytest.FixtureRequest) -> Any:
    return TOOLS[request.param]


def test_what_a_key_may_call_over_rest_is_a_tool_unless_it_streams_or_is_about_the_key() -> None:
    callable_with_a_key = {
        rpc.path
        for rpc in contract.rpcs(IMAGE)
        if rpc.http and Audience.CUSTOMER in rule_of(SOURCE.method(rpc.path)).audiences
    }
    assert callable_with_a_key - {each["rpc"] for each in TOOLS.values()} == {
        "/f2h.auth.v1.McpService/ListTools",
        "/f2h.auth.v1.TokenService/CreateToken",
        "/f2h.server_ops.v1.ConsoleService/ReadConsole",
        "/f2h.server_ops.v1.OperationService/WatchOperation",
    }


def test_nothing_is_a_tool_that_a_key_may_not_call(tool: Any) -> None:
    assert Audience.CUSTOMER in rule_of(SOURCE.method(tool["rpc"])).audiences


def test_a_name_is_one_that_every_client_takes(tool: Any) -> None:
    # MCP 2025-11-25, "Tool Names", and what those clients take that take less
    assert re.fullmatch(r"[a-z_]{1,64}", tool["definition"]["name"])


def test_arguments_have_a_schema_of_their_own_that_knows_each_part_of_the_path(tool: Any) -> None:
    schema = tool["definition"]["inputSchema"]
    Draft202012Validator.check_schema(schema)
    [path] = [value for verb, value in tool["http_rule"].items() if verb != "body"]
    assert {*re.findall(r"{(\w+)}", path)} <= {*schema.get("required", ())}
    assert schema["additionalProperties"] is False


def test_it_says_what_it_needs_and_what_it_loses(tool: Any) -> None:
    method = SOURCE.method(tool["rpc"])
    text = tool["definition"]["description"]
    rule = rule_of(method)
    assert (f"`{rule.capability}`" if rule.capability else "Any API key") in text
    loses = method.GetOptions().Extensions[effect_pb2.loses]
    assert ("DESTRUCTIVE" in text) == bool(loses)
    assert tool["definition"]["annotations"]["destructiveHint"] == bool(loses)
    assert tool["definition"]["annotations"]["readOnlyHint"] == ("get" in tool["http_rule"])


@pytest.mark.parametrize(
    ("begins", "reads"),
    [("reboot_server", "get_operation"), ("unblock_antispam", "get_antispam_operation")],
)
def test_what_begins_an_operation_says_how_it_is_followed(begins: str, reads: str) -> None:
    assert f"`{reads}`" in TOOLS[begins]["definition"]["description"]
    assert reads in TOOLS


def test_two_tools_of_one_name_are_refused() -> None:
    image = descriptor_pb2.FileDescriptorSet()
    image.CopyFrom(IMAGE)
    image.file.extend(each for each in IMAGE.file if each.name.endswith("/reboot.proto"))
    with pytest.raises(ValueError, match="reboot_server"):
        mcp.tools(image)
