"""AI agents at /mcp: what Envoy's bridge makes of their calls, and what stands around it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest
from f2h.auth.v1 import mcp_pb2
from f2h.server_ops.v1 import reboot_pb2, server_pb2

from edge.options import Options, apply, listener_of, manager
from tests.edge.conftest import Edge, Variant, variant
from tests.edge.stand_ins import GOOD_KEY, Answer, Client, failing, status
from tests.edge.tokens import bearer, token

TOOLS = json.loads(files("f2h").joinpath("mcp.json").read_text())
NAMES = [tool["definition"]["name"] for tool in TOOLS]
PAGE = "https://console.example"
HOST = "ns1.example.net"

GET_SERVER = "/f2h.server_ops.v1.ServerService/GetServer"
LIST_TOOLS = "/f2h.auth.v1.McpService/ListTools"

JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST: dict[str, Any] = {"method": "tools/list"}


@pytest.fixture(scope="module")
def switched_on(running: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Variant]:
    """An edge that agents may call, and the pages of PAGE."""
    folder = tmp_path_factory.mktemp("mcp")
    with variant(running, folder, options=Options(mcp=True, cors_origins=(PAGE,))) as other:
        yield other


@pytest.fixture(scope="module")
def agents(switched_on: Variant) -> Client:
    """Whoever calls it."""
    return switched_on.public


def sent(
    client: Client,
    body: bytes | None,
    *,
    key: str | None = GOOD_KEY,
    verb: str = "POST",
    path: str = "/mcp",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An HTTP request as it is; unlike a REST call, a refusal may be JSON-RPC."""
    given = {**JSON, **({"x-api-key": key} if key else {}), **(headers or {})}
    with closing(client.connection()) as connection:
        connection.request(verb, path, body, {name: text for name, text in given.items() if text})
        answer = connection.getresponse()
        told = {name.lower(): text for name, text in answer.getheaders()}
        made = Answer(answer.status, told, answer.read())
    said = json.loads(made.body) if made.body else {}
    made.error = said if "details" in said else None
    return made


def asked(client: Client, message: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The JSON-RPC answer to a message."""
    body = json.dumps({"jsonrpc": "2.0", "id": 7, **message}).encode()
    answer = sent(client, body, **options)
    said: dict[str, Any] = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert said["jsonrpc"] == "2.0", said
    return {**said, "http": answer.status}


def called(client: Client, tool: str, arguments: Any, **options: Any) -> dict[str, Any]:
    """The answer to the call of a tool."""
    params = {"name": tool, "arguments": arguments}
    return asked(client, {"method": "tools/call", "params": params}, **options)


def text_of(answer: Mapping[str, Any], *, error: bool) -> Any:
    """What a tool answered, which must be an error or not."""
    result = answer["result"]
    assert (answer["http"], result["isError"]) == (200, error), answer
    [content] = result["content"]
    assert content["type"] == "text"
    return json.loads(content["text"])


def reason_of(error: Mapping[str, Any]) -> str:
    [info] = [each for each in error["details"] if each["@type"].endswith("google.rpc.ErrorInfo")]
    return str(info["reason"])


def arguments_of(tool: Mapping[str, Any]) -> dict[str, str]:
    """Something for each argument that is a part of the path."""
    [path] = [value for verb, value in tool["http_rule"].items() if verb != "body"]
    return dict.fromkeys(re.findall(r"{(\w+)}", path), "a")


def test_without_the_option_there_is_no_such_path(edge: Edge) -> None:
    answer = edge.public.rest("POST", "/mcp", body=b"{}", headers=JSON)
    assert (answer.status, answer.reason) == (404, "NOT_FOUND")


def test_nothing_changes_but_what_the_bridge_needs(edge: Edge) -> None:
    before = json.loads(edge.config.read_text())
    after = json.loads(edge.config.read_text())
    apply(after, Options(mcp=True))
    public = manager(listener_of(after, "public"))
    added = {"mcp", "envoy.filters.http.mcp_json_rest_bridge", "mcp_call"}
    public["http_filters"] = [each for each in public["http_filters"] if each["name"] not in added]
    del public["local_reply_config"]["mappers"][:2]
    assert after == before


def test_a_session_begins_without_a_key_and_tells_nothing_of_ours(
    edge: Edge, agents: Client
) -> None:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    answer = asked(agents, {"method": "initialize", "params": params}, key=None)
    assert answer["result"]["protocolVersion"] == "2025-11-25"
    assert [*answer["result"]["capabilities"]] == ["tools"]
    assert not edge.auth.seen
    assert not edge.reached()


def test_the_list_is_what_auth_says_for_the_key(edge: Edge, agents: Client) -> None:
    made = mcp_pb2.ListToolsResponse()
    made.tools.add().update({"name": "one", "inputSchema": {"type": "object", "maxItems": 3}})
    edge.services["auth"].answer = lambda _call: made.SerializeToString()
    answer = asked(agents, LIST)
    tools = [{"name": "one", "inputSchema": {"type": "object", "maxItems": 3}}]
    assert answer["result"] == {"tools": tools}
    assert edge.reached() == [LIST_TOOLS]
    assert edge.auth.seen[0].request.http.headers["x-api-key"] == GOOD_KEY


@pytest.mark.parametrize("key", [None, "f2h.deadbeefcafebabe.wrong"])
def test_who_has_no_right_key_is_told_why_there_is_no_list(
    edge: Edge, agents: Client, key: str | None
) -> None:
    answer = asked(agents, LIST, key=key)
    assert answer["http"] == 401
    assert reason_of(json.loads(answer["error"]["message"])) == "CREDENTIAL_MISSING"
    assert not edge.reached()


@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_a_tool_is_the_rpc_that_it_says_and_asks_auth_about_it(
    edge: Edge, agents: Client, tool: Mapping[str, Any]
) -> None:
    text_of(called(agents, tool["definition"]["name"], arguments_of(tool)), error=False)
    assert edge.reached() == [tool["rpc"]]
    assert [each.request.http.path for each in edge.auth.seen] == [tool["rpc"]]


@pytest.mark.parametrize("key", [None, "", "f2h.deadbeefcafebabe.wrong", "x" * 200])
@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_without_a_right_key_no_tool_is_reached_and_the_reason_is_told(
    edge: Edge, agents: Client, tool: Mapping[str, Any], key: str | None
) -> None:
    answer = called(agents, tool["definition"]["name"], arguments_of(tool), key=key)
    assert reason_of(text_of(answer, error=True)) == "CREDENTIAL_MISSING"
    assert not edge.reached()


@pytest.mark.parametrize("tool", TOOLS, ids=NAMES)
def test_a_missing_capability_is_told_to_the_agent(
    edge: Edge, agents: Client, tool: Mapping[str, Any]
) -> None:
    refusal = status(7, "This key lacks the capability x.", "CAPABILITY_MISSING")
    edge.services["auth"].answer = failing(refusal)
    for service in edge.services.values():
        service.answer = failing(refusal)
    answer = called(agents, tool["definition"]["name"], arguments_of(tool))
    assert reason_of(text_of(answer, error=True)) == "CAPABILITY_MISSING"


def test_arguments_go_where_the_rest_form_has_them(edge: Edge, agents: Client) -> None:
    called(agents, "reboot_server", {"hostname": HOST, "mode": "SOFT", "shutdown_seconds": 20})
    [call] = edge.services["server_ops"].seen
    assert reboot_pb2.RebootServerRequest.FromString(call.request) == (
        reboot_pb2.RebootServerRequest(
            hostname=HOST, mode=reboot_pb2.RebootServerRequest.SOFT, shutdown_seconds=20
        )
    )


def test_a_token_is_taken_and_a_wrong_one_is_refused(edge: Edge, agents: Client) -> None:
    shown = {"authorization": bearer(token())["authorization"]}
    text_of(called(agents, "get_server", {"hostname": HOST}, key=None, headers=shown), error=False)
    assert edge.reached() == [GET_SERVER]
    wrong = {"authorization": "Bearer abc"}
    answer = called(agents, "get_server", {"hostname": HOST}, key=None, headers=wrong)
    assert reason_of(text_of(answer, error=True)) == "CREDENTIAL_INVALID"
    listed = asked(agents, LIST, key=None, headers=wrong)
    assert reason_of(json.loads(listed["error"]["message"])) == "CREDENTIAL_INVALID"
    assert edge.reached() == [GET_SERVER]


def test_a_persons_session_and_a_header_for_one_call_go_no_further(
    edge: Edge, agents: Client
) -> None:
    shown = {"cookie": "f2h_session=x", "idempotency-key": "a", "x-f2h-principal": "forged"}
    called(agents, "reboot_server", {"hostname": HOST}, headers=shown)
    assert "cookie" not in edge.auth.seen[0].request.http.headers
    [call] = edge.services["server_ops"].seen
    assert "idempotency-key" not in call.metadata
    assert "forged" not in call.metadata.values()


@pytest.mark.parametrize(
    "hostname",
    [
        *("a/../../keys", "..", ".", "", "a/ipmi", "a%2Fipmi", "%2e%2e", "%2e%2e%2fkeys", "a?b=1"),
        *("a#b", "a\\b", "\\1", "{hostname}", "a;b", "a:reboot", "*", "**", "/", "//", " ", "é"),
        *("a\r\nx-f2h-principal: b", "\0", "a" * 60_000),
        *(None, 1, 1.5, True, [], ["a"], ["a", "b"], {}, {"hostname": "a"}),
    ],
)
@pytest.mark.parametrize(
    ("tool", "rpc"),
    [
        ("get_server", GET_SERVER),
        ("reboot_server", "/f2h.server_ops.v1.RebootService/RebootServer"),
        ("get_install_status", "/f2h.server_ops.v1.InstallService/GetInstallStatus"),
    ],
)
def test_no_argument_makes_a_tool_another_call(
    edge: Edge, agents: Client, tool: str, rpc: str, hostname: Any
) -> None:
    called(agents, tool, {"hostname": hostname})
    assert {*edge.reached()} <= {rpc}
    assert {each.request.http.path for each in edge.auth.seen} <= {rpc}
    for call in edge.services["server_ops"].seen:
        named = server_pb2.GetServerRequest.FromString(call.request).hostname
        # What is no text is taken as JSON has it.
        written = json.dumps(hostname, separators=(",", ":"))
        assert named == (hostname if isinstance(hostname, str) else written)


@pytest.mark.parametrize(
    "arguments",
    [
        {"hostname": HOST, "hostnames": 1},
        {"hostname": HOST, "a": {"b": [1]}},
        {"hostname": HOST, "%68ostname": "b"},
    ],
)
def test_an_argument_that_a_get_does_not_know_is_refused(
    edge: Edge, agents: Client, arguments: dict[str, Any]
) -> None:
    answer = text_of(called(agents, "get_server", arguments), error=True)
    assert reason_of(answer) == "INVALID_REQUEST"
    assert not edge.reached()


@pytest.mark.parametrize("arguments", [None, [], "a", 1, {}])
def test_arguments_that_are_none_are_refused(edge: Edge, agents: Client, arguments: Any) -> None:
    assert called(agents, "get_server", arguments)["error"]["code"] == -32602
    assert not edge.reached()


@pytest.mark.parametrize("tool", ["", "nothing", "Get_Server", "/api/keys", "list_keys", 1, None])
def test_a_tool_that_is_not_there_is_refused(edge: Edge, agents: Client, tool: Any) -> None:
    assert called(agents, tool, {})["error"]["code"] == -32602
    assert not edge.reached()


@pytest.mark.parametrize("made", [None, 1.5, True, [], {}, 10**30])
def test_an_id_that_json_rpc_does_not_know_is_refused(
    edge: Edge, agents: Client, made: Any
) -> None:
    answer = asked(agents, {**LIST, "id": made})
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)
    assert not edge.reached()


@pytest.mark.parametrize("made", ["", "a", 'x"},{"', "\0", -1, 2**53])
def test_an_id_comes_back_as_it_was(agents: Client, edge: Edge, made: Any) -> None:
    assert asked(agents, {**LIST, "id": made})["id"] == made
    assert edge.reached() == [LIST_TOOLS]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([{"jsonrpc": "2.0", "id": 1, **LIST}], -32600),  # a batch, which the protocol dropped
        ([], -32600),
        (5, -32600),
        (None, -32600),
        ({}, -32600),
        ({"id": 1, "method": 5}, -32600),
        ({"id": 1, "method": "resources/list"}, -32601),
        ({"id": 1, "method": "initialize", "params": 5}, -32602),
        ({"id": 1, "method": "tools/call", "params": []}, -32602),
    ],
)
def test_what_is_no_message_of_the_protocol_is_refused(
    edge: Edge, agents: Client, body: Any, code: int
) -> None:
    assert json.loads(sent(agents, json.dumps(body).encode()).body)["error"]["code"] == code
    assert not edge.reached()


@pytest.mark.parametrize("body", [b"{", b'{"id": "\xff"}', b'{"id": "\\ud800"}', b"a=b", b"\0"])
def test_what_is_no_json_is_refused(edge: Edge, agents: Client, body: bytes) -> None:
    answer = sent(agents, body)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, -32700)
    assert not edge.reached()


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"\\"":'])
@pytest.mark.parametrize("times", [33, 5_000])
def test_a_message_that_is_nested_deeply_is_refused(
    edge: Edge, agents: Client, opened: str, times: int
) -> None:
    closed = opened.translate({ord("["): "]", ord("{"): "}"})
    deep = opened * times + "1" + "".join(sign for sign in closed[::-1] if sign in "]}") * times
    arguments = f'{{"hostname": "a", "deep": {deep}}}'
    params = f'{{"name": "reboot_server", "arguments": {arguments}}}'
    message = f'{{"id": 1, "method": "tools/call", "params": {params}}}'
    answer = sent(agents, message.encode())
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")
    assert not edge.reached()


def test_brackets_in_a_text_are_no_nesting(edge: Edge, agents: Client) -> None:
    called(agents, "get_server", {"hostname": '"[{\\' * 40})
    assert edge.reached() == [GET_SERVER]


def test_a_large_message_is_refused(edge: Edge, agents: Client) -> None:
    answer = sent(agents, b'{"a": "' + b"a" * 66_000 + b'"}')
    assert (answer.status, answer.reason) == (413, "REQUEST_TOO_LARGE")
    assert not edge.reached()


@pytest.mark.parametrize("body", [None, b""])
def test_a_request_without_a_message_is_answered_at_once(
    edge: Edge, agents: Client, body: bytes | None
) -> None:
    answer = sent(agents, body)
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS"])
def test_there_are_no_streams_and_no_sessions(edge: Edge, agents: Client, verb: str) -> None:
    answer = sent(agents, None, verb=verb, headers={"mcp-session-id": "a"})
    assert (answer.status, answer.reason) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/mcp/", "/MCP", "/mcp/tools", "/mcpx", "/api/mcp"])
def test_only_the_one_path_is_the_bridges(edge: Edge, agents: Client, path: str) -> None:
    body = json.dumps({"id": 1, **LIST}).encode()
    answer = sent(agents, body, path=path)
    assert (answer.status, answer.reason) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/mcp?a=b", "//mcp", "/%6dcp", "/api/../mcp"])
def test_another_spelling_of_the_path_is_looked_at_the_same_way(
    edge: Edge, agents: Client, path: str
) -> None:
    body = json.dumps({"id": 1, **LIST}).encode()
    assert sent(agents, body, path=path).status == 200
    foreign = sent(agents, body, path=path, headers={"origin": "https://evil.example"})
    assert foreign.reason == "ORIGIN_NOT_ALLOWED"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://console.example", f"{PAGE}.evil.example", "null", "*"],
)
def test_a_page_of_another_site_may_not_call(edge: Edge, agents: Client, origin: str) -> None:
    body = json.dumps({"id": 1, **LIST}).encode()
    answer = sent(agents, body, headers={"origin": origin})
    assert (answer.status, answer.reason) == (403, "ORIGIN_NOT_ALLOWED")
    # A page that DNS rebinding brought here calls this host by its own name.
    rebound = sent(agents, body, headers={"origin": "http://evil.example", "host": "evil.example"})
    assert rebound.reason == "ORIGIN_NOT_ALLOWED"
    assert not edge.reached()


def test_a_page_that_may_call_the_api_may_call_here(edge: Edge, agents: Client) -> None:
    body = json.dumps({"id": 1, **LIST}).encode()
    answer = sent(agents, body, headers={"origin": PAGE})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    wanted = {"origin": PAGE, "access-control-request-method": "POST"}
    asked_first = sent(agents, None, verb="OPTIONS", headers=wanted)
    assert asked_first.status == 200
    assert "mcp-protocol-version" in asked_first.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
    ],
)
def test_a_message_in_another_form_is_refused(
    edge: Edge, agents: Client, headers: dict[str, str]
) -> None:
    answer = sent(agents, json.dumps({"id": 1, **LIST}).encode(), headers=headers)
    assert (answer.status, answer.reason) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert not edge.reached()


def test_limits_of_a_key_hold_here_as_well(edge: Edge, agents: Client) -> None:
    key = f"{GOOD_KEY}/agent"
    answers = [called(agents, "get_server", {"hostname": HOST}, key=key) for _ in range(8)]
    refused = [answer for answer in answers if answer["result"]["isError"]]
    assert refused
    assert {reason_of(text_of(answer, error=True)) for answer in refused} == {"RATE_LIMITED"}


def test_when_auth_is_away_nothing_passes_and_the_agent_is_told(edge: Edge, agents: Client) -> None:
    edge.auth.stop()
    try:
        answer = called(agents, "reboot_server", {"hostname": HOST})
        listed = asked(agents, LIST)
    finally:
        edge.auth.start()
    assert reason_of(text_of(answer, error=True)) == "DEPENDENCY_UNAVAILABLE"
    assert reason_of(json.loads(listed["error"]["message"])) == "DEPENDENCY_UNAVAILABLE"
    assert not edge.services["server_ops"].seen


def test_rest_and_grpc_go_on_as_they_are(edge: Edge, agents: Client) -> None:
    assert agents.rest("GET", f"/api/servers/{HOST}").status == 200
    refused = agents.rest("GET", f"/api/servers/{HOST}", key=None)
    assert (refused.status, refused.reason) == (401, "CREDENTIAL_MISSING")
    forbidden = status(7, "no", "CAPABILITY_MISSING")
    edge.services["server_ops"].answer = failing(forbidden)
    assert agents.rest("GET", f"/api/servers/{HOST}").status == 403
    assert agents.grpc(GET_SERVER).reason == "CAPABILITY_MISSING"


def test_no_text_of_a_caller_begins_a_line_of_the_log(
    edge: Edge, agents: Client, switched_on: Variant
) -> None:
    forged = '{"client": "forged"}'
    called(agents, f"a\n{forged}", {})
    lines = [line for line in switched_on.log.read_text().splitlines() if "forged" in line]
    assert lines
    assert not [line for line in lines if line.startswith(forged)]
