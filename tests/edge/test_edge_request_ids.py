"""Every request has one id: in its answer, in the log, and in what auth and services are told."""

import json
import re
from typing import Any

import grpc
import pytest

from tests.edge.conftest import Edge
from tests.edge.stand_ins import GOOD_KEY, Answer, Call, eventually, raw

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
REST_REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"
REQUEST_INFO = "type.googleapis.com/google.rpc.RequestInfo"

CHOSEN = "0af7651916cd43dd8448eb211c80319c"
CHOICES = {
    "x-request-id": CHOSEN,
    "traceparent": f"00-{CHOSEN}-b7ad6b7169203331-01",
    "tracestate": "vendor=1",
    "baggage": "a=b",
    "x-client-trace-id": CHOSEN,
}


def told(answer: Answer) -> str:
    """The id that an error names."""
    assert answer.error is not None
    [info] = [each for each in answer.error["details"] if each["@type"] == REQUEST_INFO]
    return str(info.get("request_id") or info["requestId"])


def logged(edge: Edge, request_id: str) -> list[dict[str, Any]]:
    """The lines of the access log about a request."""
    lines = [line for line in edge.log.read_text().splitlines() if request_id in line]
    return [json.loads(line) for line in lines if line.startswith("{")]


def native(edge: Edge, path: str, **metadata: str) -> tuple[str, grpc.Call]:
    """The header x-request-id of a native call's answer, and the call."""
    sent = tuple({"x-api-key": GOOD_KEY, **metadata}.items())
    try:
        _, call = raw(edge.public.channel, path).with_call(b"", metadata=sent, timeout=20)
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        call = error
    said = {**dict(call.initial_metadata() or ()), **dict(call.trailing_metadata() or ())}
    return str(said["x-request-id"]), call


def test_auth_and_the_service_are_told_the_id_of_the_trace_which_the_answer_names(
    edge: Edge,
) -> None:
    answer = edge.public.rest("POST", REST_REBOOT)
    request_id = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    [call] = edge.services["server_ops"].seen
    assert call.metadata["x-request-id"] == request_id
    assert str(call.metadata["traceparent"]).split("-")[1] == request_id
    [check] = edge.auth.seen
    assert check.request.http.headers["x-request-id"] == request_id
    eventually(lambda: bool(logged(edge, request_id)))
    [line] = logged(edge, request_id)
    assert (line["request_id"], line["status"]) == (request_id, 200)


def test_each_request_has_another(edge: Edge) -> None:
    answers = [edge.public.rest("POST", REST_REBOOT) for _ in range(20)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


def test_who_calls_does_not_choose_it(edge: Edge) -> None:
    answer = edge.public.rest("POST", REST_REBOOT, headers=CHOICES)
    assert CHOSEN not in answer.headers["x-request-id"]
    request_id, _ = native(edge, REBOOT, **CHOICES)
    assert request_id != CHOSEN
    for call in edge.services["server_ops"].seen:
        said = {name: str(value) for name, value in call.metadata.items()}
        assert not any(CHOSEN in value for value in said.values())
        assert not said.keys() & {"baggage", "x-client-trace-id"}
        assert said.get("tracestate", "") == ""
        # Not sampled, although the caller asked for it.
        assert said["traceparent"].endswith("-00")


@pytest.mark.parametrize(
    ("verb", "path", "key"),
    [
        ("GET", "/api/nothing", GOOD_KEY),
        ("POST", f"{REST_REBOOT}?nope=1", GOOD_KEY),
        ("POST", REST_REBOOT, GOOD_KEY),
    ],
)
def test_an_error_of_the_edge_names_it(edge: Edge, verb: str, path: str, key: str) -> None:
    edge.auth.answer = crash
    answer = edge.public.rest(verb, path, key=key)
    assert told(answer) == answer.headers["x-request-id"]
    eventually(lambda: bool(logged(edge, told(answer))))


def test_a_native_error_of_the_edge_has_it_in_a_header(edge: Edge) -> None:
    request_id, call = native(edge, "/nothing.v1.Nothing/Get")
    assert call.code() == grpc.StatusCode.NOT_FOUND
    eventually(lambda: bool(logged(edge, request_id)))


def test_an_error_that_is_mended_names_it(edge: Edge) -> None:
    def answer(call: Call) -> bytes:
        raise RuntimeError("text of a driver")

    edge.services["server_ops"].answer = answer
    told_by_rest = edge.public.rest("POST", REST_REBOOT)
    assert told(told_by_rest) == told_by_rest.headers["x-request-id"]
    told_by_grpc = edge.public.grpc(REBOOT)
    last = edge.services["server_ops"].seen[-1]
    assert told(told_by_grpc) == last.metadata["x-request-id"]


def crash(request: object) -> Any:
    raise RuntimeError
