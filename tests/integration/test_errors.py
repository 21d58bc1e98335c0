"""Promise 11: every error is a google.rpc.Status with a documented reason and nothing else."""

import json
from collections.abc import Iterator

import httpx
import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.access import CATALOGUE
from tests.integration.calls import RPCS, SAMPLES, Audience
from tests.integration.conftest import IN_THE_CLEAR, Key, System, reason
from tools.contract import Rpc

PUBLIC = [
    rpc
    for rpc in RPCS
    if rpc.rule
    and rpc.http
    and {*rpc.rule.audiences} & {Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}
]

NONSENSE = ("", "%00", "..%2f..", "a" * 300, "-", "ns1.example.net.", "'; drop table server; --")

BODIES: tuple[bytes, ...] = (
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe",
    b'{"mode": "SIDEWAYS"}',
    b'{"mode": 99}',
    b'{"request_id": 5}',
    b'{"request_id": "white space"}',
    b'{"ip": "999.1.1.1"}',
    json.dumps({"request_id": "x" * 65}).encode(),
    json.dumps({"label": "x" * 70_000}).encode(),
)

NOT_FOR_CALLERS = ("traceback", "sqlalchemy", "sqlite", "psycopg", "pyghmi", "grpc_message:", ".py")


@pytest.fixture(scope="module")
def everything(system: System) -> Iterator[tuple[Key, str]]:
    server = system.server(system.bmc())
    yield system.key(server, capabilities=[*CATALOGUE]), server


def _urls(rpc: Rpc, server: str) -> Iterator[str]:
    assert rpc.http is not None
    for value in (server, *NONSENSE):
        path = rpc.http[1].replace("{hostname}", value)
        for name, sample in SAMPLES.items():
            path = path.replace(f"{{{name}}}", value if value in NONSENSE else str(sample))
        yield path


@pytest.mark.parametrize("rpc", PUBLIC, ids=lambda rpc: rpc.path.rsplit("/", 1)[1])
def test_nonsense_is_refused_in_the_one_form_of_errors(
    system: System, everything: tuple[Key, str], rpc: Rpc
) -> None:
    key, server = everything
    assert rpc.http is not None
    verb = rpc.http[0]
    headers = {**key.headers, "Content-Type": "application/json"}
    with httpx.Client(
        base_url=system.stack.url, headers=headers, verify=IN_THE_CLEAR, timeout=20
    ) as client:
        answers = []
        for url in _urls(rpc, server):
            if not url.startswith("/api"):
                continue
            if verb in {"GET", "DELETE"}:
                answers.append(client.request(verb, url))
                answers.append(client.request(verb, url, params={"page_size": "many"}))
                answers.append(client.request(verb, url, params={"no_such": "1"}))
            else:
                answers += [client.request(verb, url, content=body) for body in BODIES]
            answers.append(client.request("PATCH", url))
    for answer in answers:
        if not answer.is_success:
            _assert_is_status(answer)


def test_a_field_that_breaks_a_rule_is_named_with_what_would_be_right(
    system: System, everything: tuple[Key, str]
) -> None:
    body = {
        "account": "acme",
        "capabilities": ["server.fly"],
        "servers": [everything[1], "nobody.example.net"],
        "cidrs": [],
    }
    answer = system.noc("POST", "/api/keys", json=body)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    [bad_request] = [d for d in answer.json()["details"] if d["@type"].endswith("BadRequest")]
    fields = {each["field"]: each["description"] for each in bad_request["field_violations"]}
    assert set(fields) == {"capabilities", "servers[1]"}
    assert "server.reboot" in fields["capabilities"]

    answer = system.noc("POST", "/api/keys", json={**body, "cidrs": ["203.0.113.4/24"]})
    [bad_request] = [d for d in answer.json()["details"] if d["@type"].endswith("BadRequest")]
    assert [each["field"] for each in bad_request["field_violations"]] == ["cidrs[0]"]


def _assert_is_status(answer: httpx.Response) -> None:
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    status = answer.json()
    assert set(status) <= {"code", "message", "details"}, status
    assert status["message"]
    assert reason(answer) in Reason.keys()  # noqa: SIM118 - an enum wrapper is no dictionary
    lowered = answer.text.lower()
    assert not [word for word in NOT_FOR_CALLERS if word in lowered], answer.text
