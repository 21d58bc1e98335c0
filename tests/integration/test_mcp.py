"""AI agents: a real client of the Model Context Protocol, and what its key lets it do."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from edge.options import MCP_PATH, Options
from services.runtime.access import CATALOGUE
from tests.integration.conftest import IN_THE_CLEAR, Key, System, running

TOOLS = json.loads(files("f2h").joinpath("mcp.json").read_text())
NAMES = [tool["definition"]["name"] for tool in TOOLS]
NOBODY = Key("", "f2h.0123456789abcdef.wrong")

# A sweep shows many wrong keys.
SETTINGS = {"F2H_AUTH_FAILURES_PER_MINUTE": "10000"}


@dataclass
class Fleet:
    """Two servers of one account, and keys."""

    mine: str
    other: str
    ips: dict[str, str]
    operations: dict[str, str]
    """An operation of each, by its id; it has ended."""
    full: Key
    """May do everything, on `mine`."""
    details: Key
    """May read, on `mine`."""
    useless: Key
    """Has a capability that no tool is of, on both."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Its own: agents may call."""
    folder = tmp_path_factory.mktemp("mcp")
    with running(folder, SETTINGS, options=Options(mcp=True)) as made:
        yield made


@pytest.fixture(scope="module")
def fleet(system: System) -> Fleet:
    names = ("mine", "other")
    ips = {each: f"198.18.200.{number}" for number, each in enumerate(names, 1)}
    hostnames = {each: system.server(system.bmc(), ip=ip) for each, ip in ips.items()}
    operations = {}
    for each, hostname in hostnames.items():
        key = system.key(hostname)
        begun = system.rest("POST", f"/api/servers/{hostname}/reboot", key).json()["name"]
        system.finished(begun, key)
        operations[each] = begun.rpartition("/")[2]
    return Fleet(
        hostnames["mine"],
        hostnames["other"],
        ips,
        operations,
        full=system.key(hostnames["mine"], capabilities=[*CATALOGUE]),
        details=system.key(hostnames["mine"], capabilities=["server.details"]),
        useless=system.key(*hostnames.values(), capabilities=["console.attach"]),
    )


@asynccontextmanager
async def agent(system: System, mode: Any = "auto", **headers: str) -> AsyncIterator[Client]:
    """A client that has connected."""
    url = f"{system.stack.url}{MCP_PATH}"
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def done(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool that succeeds answers with."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return json.loads(text(result))


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """The reason with which a tool is refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return reason(json.loads(text(result)))


def text(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def reason(error: dict[str, Any]) -> str:
    [info] = [each for each in error["details"] if each["@type"].endswith("google.rpc.ErrorInfo")]
    return str(info["reason"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_is_shown_what_its_key_allows(
    system: System, fleet: Fleet, mode: str
) -> None:
    async with agent(system, mode, **fleet.details.headers) as client:
        assert client.server_capabilities.tools is not None
        listed = await client.list_tools()
    assert {tool.name for tool in listed.tools} == {
        "get_server",
        "list_servers",
        "get_operation",
        "list_operations",
        "wait_operation",
        "cancel_operation",
    }
    async with agent(system, mode, **fleet.full.headers) as client:
        listed = await client.list_tools()
    assert {tool.name for tool in listed.tools} == {*NAMES}
    [reboot] = [tool for tool in listed.tools if tool.name == "reboot_server"]
    assert reboot.annotations is not None
    assert reboot.annotations.destructive_hint
    assert reboot.input_schema["required"] == ["hostname"]


async def test_an_agent_restarts_a_server_and_follows_it_to_its_end(
    system: System, fleet: Fleet
) -> None:
    async with agent(system, **fleet.full.headers) as client:
        server = await done(client, "get_server", hostname=fleet.mine)
        assert server["ips"] == [fleet.ips["mine"]]
        begun = await done(client, "reboot_server", hostname=fleet.mine, request_id="agent-1")
        again = await done(client, "reboot_server", hostname=fleet.mine, request_id="agent-1")
        assert again["name"] == begun["name"]
        operation = begun
        while not operation["done"]:
            number = operation["name"].rpartition("/")[2]
            operation = await done(client, "wait_operation", id=number)
    assert "error" not in operation
    assert operation["response"]["proof"] != "PROOF_UNSPECIFIED"


async def test_a_refusal_tells_the_agent_why(system: System, fleet: Fleet) -> None:
    async with agent(system, **fleet.details.headers) as client:
        assert await refused(client, "reboot_server", hostname=fleet.mine) == "CAPABILITY_MISSING"
        assert await refused(client, "get_server", hostname=fleet.other) == "SERVER_NOT_GRANTED"
        assert await refused(client, "get_server", hostname="a b") == "INVALID_REQUEST"
        assert await refused(client, "get_server", hostname="") == "INVALID_REQUEST"
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("list_keys", {})


async def test_a_key_that_is_not_right_is_told_so(system: System) -> None:
    for headers, expected in (
        ({}, "CREDENTIAL_MISSING"),
        (NOBODY.headers, "CREDENTIAL_INVALID"),
        ({"Authorization": "Bearer abc"}, "CREDENTIAL_INVALID"),
    ):
        async with agent(system, **headers) as client:
            with pytest.raises(MCPError, match=expected):
                await client.list_tools()
            assert await refused(client, "list_servers") == expected


async def test_a_key_that_is_revoked_shows_nothing_any_more(system: System, fleet: Fleet) -> None:
    key = system.key(fleet.mine)
    async with agent(system, **key.headers) as client:
        await done(client, "get_server", hostname=fleet.mine)
        assert system.noc("DELETE", f"/api/keys/{key.id}").is_success
        assert await refused(client, "get_server", hostname=fleet.mine) == "KEY_REVOKED"
        with pytest.raises(MCPError, match="KEY_REVOKED"):
            await client.list_tools()


async def test_a_short_lived_token_shows_what_it_is_for(system: System, fleet: Fleet) -> None:
    form = {"capabilities": ["ptr.update"]}
    token = system.rest("POST", "/api/auth/token", fleet.full, json=form).json()["access_token"]
    async with agent(system, Authorization=f"Bearer {token}") as client:
        listed = await client.list_tools()
        assert {tool.name for tool in listed.tools} == {
            *("get_ptr", "set_ptr", "delete_ptr", "cancel_operation")
        }
        assert await refused(client, "get_server", hostname=fleet.mine) == "CAPABILITY_MISSING"


@pytest.mark.parametrize("caller", ["nobody", "wrong", "useless", "full"])
@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_no_tool_reaches_what_the_same_key_does_not_reach_over_rest(
    system: System, fleet: Fleet, tool: dict[str, Any], caller: str
) -> None:
    keys = {"wrong": NOBODY, "useless": fleet.useless, "full": fleet.full}
    headers = keys[caller].headers if caller in keys else {}
    arguments = about(fleet, "other", tool)
    over_rest = rest(system, tool, arguments, headers)
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool["definition"]["name"], "arguments": arguments},
    }
    answer = httpx.post(
        f"{system.stack.url}{MCP_PATH}",
        json=message,
        headers=headers,
        verify=IN_THE_CLEAR,
        timeout=30,
    )
    result = answer.json()["result"]
    told = json.loads(result["content"][0]["text"])
    assert result["isError"] == over_rest.is_error
    if over_rest.is_error:
        assert reason(told) == reason(over_rest.json())
        return
    # Calls that name no server: they show what the key is for.
    assert (caller, tool["definition"]["name"]) in {
        ("full", "list_servers"),
        ("full", "list_templates"),
    }
    assert told == over_rest.json()
    assert fleet.other not in json.dumps(told)


def about(fleet: Fleet, server: str, tool: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a tool that are right, but for the server that they name."""
    hostname = getattr(fleet, server)
    schema = tool["definition"]["inputSchema"]
    values = {
        **dict.fromkeys(("hostname", "confirm_hostname"), hostname),
        "ip": fleet.ips[server],
        "id": fleet.operations[server],
    }
    return {
        name: values[name] if name in values else example(schema, schema["properties"][name])
        for name in schema.get("required", [])
    }


def example(schema: dict[str, Any], of: dict[str, Any]) -> Any:
    """Some value that a field takes."""
    if "$ref" in of:
        of = {**schema["$defs"][of["$ref"].rpartition("/")[2]], **of}
    return of["examples"][0] if "examples" in of else of["enum"][-1]


def rest(
    system: System, tool: dict[str, Any], arguments: dict[str, Any], headers: dict[str, str]
) -> httpx.Response:
    """The call that a tool stands for."""
    [(verb, path)] = [each for each in tool["http_rule"].items() if each[0] != "body"]
    names = re.findall(r"{(\w+)}", path)
    others = {name: value for name, value in arguments.items() if name not in names}
    has_body = "body" in tool["http_rule"]
    return httpx.request(
        verb.upper(),
        system.stack.url + path.format(**arguments),
        headers=headers,
        verify=IN_THE_CLEAR,
        timeout=30,
        json=others if has_body else None,
        params=None if has_body else others,
    )
