"""What passes which listener, and never without auth: for every RPC of the descriptor."""

import pytest
from _pytest.mark.structures import ParameterSet

from tests.edge.conftest import Edge
from tests.edge.contract import EXAMPLE, RPCS, rest
from tests.edge.stand_ins import GOOD_KEY, PRINCIPAL, REFUSAL, Answer
from tools.contract import LISTENERS, Rpc, passes


def forms(*, passing: bool) -> list[ParameterSet]:
    """Listener, RPC and form of each that passes, or of each that does not."""
    return [
        pytest.param(listener, rpc, form, id=f"{listener}{rpc.path}-{form}")
        for listener in LISTENERS
        for rpc in RPCS
        if passes(rpc, listener) == passing
        for form in (("rest", "grpc") if rpc.http else ("grpc",))
    ]


PASSING, SHUT = forms(passing=True), forms(passing=False)


def call(edge: Edge, listener: str, rpc: Rpc, form: str, key: str | None) -> Answer:
    client = edge.client(listener)
    if form == "grpc":
        return client.grpc(rpc.path, key=key)
    verb, path, body, headers = rest(rpc)
    return client.rest(verb, path, key=key, body=body, headers=headers)


def test_something_passes_and_something_does_not() -> None:
    assert len(PASSING) > 10
    assert len(SHUT) > 10


@pytest.mark.parametrize("key", [None, "f2h.deadbeefcafebabe.wrong"], ids=["no_key", "wrong_key"])
@pytest.mark.parametrize(("listener", "rpc", "form"), PASSING)
def test_is_refused_by_auth_and_reaches_no_service(
    edge: Edge, listener: str, rpc: Rpc, key: str | None, form: str
) -> None:
    answer = call(edge, listener, rpc, form, key)
    assert answer.reason == "CREDENTIAL_MISSING"
    assert answer.error is not None
    assert (answer.error["code"], answer.error["message"]) == (REFUSAL.code, REFUSAL.message)
    assert answer.status in (401, 0)
    assert [seen.request.http.path for seen in edge.auth.seen] == [rpc.path]
    assert edge.auth.seen[0].context_extensions == {"listener": listener}
    assert not edge.reached()


@pytest.mark.parametrize(("listener", "rpc", "form"), PASSING)
def test_passes_with_a_good_key_and_the_key_stays_at_the_edge(
    edge: Edge, listener: str, rpc: Rpc, form: str
) -> None:
    answer = call(edge, listener, rpc, form, GOOD_KEY)
    assert answer.error is None
    assert edge.reached() == [rpc.path]
    (reached,) = (seen for service in edge.services.values() for seen in service.seen)
    assert reached.metadata["x-f2h-principal"] == PRINCIPAL
    assert "x-api-key" not in reached.metadata
    if form == "rest" and "{" in (rpc.http or ("", ""))[1]:
        assert EXAMPLE.encode() in reached.request


@pytest.mark.parametrize(("listener", "rpc", "form"), SHUT)
def test_is_not_there_even_with_a_good_key(edge: Edge, listener: str, rpc: Rpc, form: str) -> None:
    answer = call(edge, listener, rpc, form, GOOD_KEY)
    assert answer.reason == "NOT_FOUND"
    assert answer.status in (404, 0)
    assert not edge.auth.seen
    assert not edge.reached()


def test_the_grpc_path_is_not_a_rest_path(edge: Edge) -> None:
    for headers in ({}, {"content-type": "application/json"}):
        answer = edge.public.rest(
            "POST", "/f2h.server_ops.v1.RebootService/RebootServer", body=b"", headers=headers
        )
        assert answer.reason == "NOT_FOUND"
    assert not edge.reached()
