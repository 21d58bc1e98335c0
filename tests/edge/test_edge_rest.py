"""What a path answers and in which form, before anything is transcoded: 405 and 415."""

import re
from collections.abc import Mapping

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from tests.edge.conftest import Edge
from tests.edge.contract import EXAMPLE, RPCS
from tests.edge.stand_ins import Answer
from tools.contract import LISTENERS, passes

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"
JSON = "application/json"


def verbs_of(listener: str) -> Mapping[str, set[str]]:
    """The verbs of each path of a listener, with an example for each variable."""
    found: dict[str, set[str]] = {}
    for rpc in RPCS:
        if rpc.http and passes(rpc, listener):
            verb, template = rpc.http
            found.setdefault(re.sub(r"\{[^}]+\}", EXAMPLE, template), set()).add(verb)
    return found


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_verb_that_a_path_does_not_answer(edge: Edge, listener: str) -> None:
    for path, verbs in verbs_of(listener).items():
        for verb in set(VERBS) - verbs:
            answer = _plain(edge, listener, verb, path)
            assert answer.status == 405, (verb, path)
            assert set(answer.headers["allow"].split(", ")) == verbs, (verb, path)
            if verb != "HEAD":
                _told(answer, Reason.METHOD_NOT_ALLOWED)
    assert not edge.reached()


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_path_of_the_other_side_is_not_there_whatever_the_verb(edge: Edge, listener: str) -> None:
    [other] = set(LISTENERS) - {listener}
    for path in verbs_of(other).keys() - verbs_of(listener).keys():
        for verb in ("GET", "POST", "DELETE"):
            assert edge.client(listener).rest(verb, path).reason == "NOT_FOUND", (verb, path)


def test_a_question_in_a_body_says_what_that_is(edge: Edge) -> None:
    """Envoy refuses QUERY without it by itself (draft-ietf-httpbis-safe-method-w-body)."""
    answers = [
        edge.public.rest("QUERY", REBOOT, headers=headers)
        for headers in ({}, {"content-type": JSON})
    ]
    assert [(answer.status, answer.reason) for answer in answers] == [
        (400, "INVALID_REQUEST"),
        (405, "METHOD_NOT_ALLOWED"),
    ]
    assert answers[1].headers["allow"] == "POST"


def test_a_verb_that_nobody_knows_is_no_request(edge: Edge) -> None:
    """What reads HTTP/1 knows a list; allow_custom_methods, which opens it, is work in progress."""
    answers = [edge.public.rest(verb, REBOOT) for verb in ("get", "NOT-A-METHOD-YET")]
    assert {(answer.status, answer.reason) for answer in answers} == {(400, "INVALID_REQUEST")}
    assert not edge.reached()


def test_a_query_does_not_hide_the_path(edge: Edge) -> None:
    answer = edge.public.rest("DELETE", REBOOT + "?a=/b")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain;application/json",
        "application/jsonp",
        "application/xml",
        "application/json, text/plain",
        "nonsense",
    ],
)
def test_a_body_that_is_not_json(edge: Edge, kind: str) -> None:
    answer = edge.public.rest("POST", REBOOT, body=b"{}", headers={"content-type": kind})
    assert answer.status == 415
    assert answer.headers["accept"] == JSON
    _told(answer, Reason.UNSUPPORTED_MEDIA_TYPE)
    assert "application/json" in str(answer.error)
    assert not edge.reached()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_a_body_that_is_compressed(edge: Edge, encoding: str) -> None:
    headers = {"content-type": JSON, "content-encoding": encoding}
    answer = edge.public.rest("POST", REBOOT, body=b"\x1f\x8b" + b"\0" * 100, headers=headers)
    assert answer.status == 415
    _told(answer, Reason.UNSUPPORTED_MEDIA_TYPE)
    assert not edge.reached()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {"content-type": "application/x-www-form-urlencoded"}),
        (b"{}", {"content-type": JSON}),
        (b"{}", {"content-type": "Application/JSON; charset=utf-8"}),
        (
            b"{}",
            {"content-type": "application/json ;charset=utf-8", "content-encoding": "identity"},
        ),
        (b"{}", {}),
    ],
)
def test_a_body_as_it_should_be(edge: Edge, body: bytes | None, headers: dict[str, str]) -> None:
    assert edge.public.rest("POST", REBOOT, body=body, headers=headers).status == 200


def _plain(edge: Edge, listener: str, verb: str, path: str) -> Answer:
    """As Client.rest, also where the answer has no body."""
    client = edge.client(listener)
    if verb != "HEAD":
        return client.rest(verb, path)
    connection = client.connection()
    try:
        connection.request(verb, path)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, b"")
    finally:
        connection.close()


def _told(answer: Answer, reason: "Reason.ValueType") -> None:
    assert answer.reason == Reason.Name(reason)
    assert answer.error is not None
    assert answer.error["code"] == ApiError(reason, "").status().code
