"""How much may be asked for: 429, when to try again, and nobody at another's cost."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.edge.conftest import LIMITS, Edge, variant
from tests.edge.stand_ins import GOOD_KEY, Answer, Client, denied, eventually, status
from tests.edge.tokens import bearer, token

SERVERS = "/api/servers"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"
BURST = LIMITS["subject_limit"].burst
PER_ADDRESS = 20


def asked(edge: Edge, subject: str) -> Answer:
    return edge.public.rest("GET", SERVERS, key=f"{GOOD_KEY}/{subject}")


def test_who_asks_too_much_is_told_when_to_try_again(edge: Edge) -> None:
    answers = [asked(edge, "busy") for _ in range(BURST + 3)]
    assert [answer.status for answer in answers[:BURST]] == [200] * BURST
    refused = next(answer for answer in answers if answer.status != 200)
    assert (refused.status, refused.reason) == (429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-limit"] == str(BURST)
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.error is not None
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "1s"} in (
        refused.error["details"]
    )
    assert len(edge.services["server_ops"].seen) == [a.status for a in answers].count(200)


def test_what_is_left_is_told(edge: Edge) -> None:
    left = [int(asked(edge, "polite").headers["x-ratelimit-remaining"]) for _ in range(3)]
    assert left == [BURST - 1, BURST - 2, BURST - 3]


def test_native_callers_get_the_same_refusal(edge: Edge) -> None:
    answers = [edge.public.grpc(LIST, key=f"{GOOD_KEY}/native") for _ in range(BURST + 3)]
    refused = next(answer for answer in answers if answer.error)
    assert refused.reason == "RATE_LIMITED"
    assert refused.error is not None
    assert refused.error["code"] == 8
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"} in (
        refused.error["details"]
    )


def test_one_subject_leaves_anothers_quota_alone(edge: Edge) -> None:
    assert 429 in {asked(edge, "greedy").status for _ in range(BURST + 3)}
    assert asked(edge, "modest").status == 200


def test_what_auth_refuses_counts_in_nobodys_quota(edge: Edge) -> None:
    """A wrong secret, or a right one from a foreign network, of somebody else's key."""
    good = edge.auth.answer
    edge.auth.answer = lambda _: denied(status(7, "Not from there.", "ADDRESS_NOT_ALLOWED"))
    for _ in range(BURST * 4):
        assert asked(edge, "victim").status == 403
    edge.auth.answer = good
    assert [asked(edge, "victim").status for _ in range(BURST)] == [200] * BURST


def test_a_token_counts_in_the_quota_of_its_key(edge: Edge) -> None:
    headers = bearer(token(sub="shared"))
    answers = [edge.public.rest("GET", SERVERS, key=None, headers=headers) for _ in range(BURST)]
    assert {answer.status for answer in answers} == {200}
    # One at most came back in the meantime.
    assert 429 in {asked(edge, "shared").status for _ in range(3)}


def test_a_token_that_is_not_right_counts_in_nobodys_quota(edge: Edge) -> None:
    wrong = bearer(token(Ed25519PrivateKey.generate(), sub="robbed"))
    for _ in range(BURST * 4):
        assert edge.public.rest("GET", SERVERS, key=None, headers=wrong).status == 401
    assert [asked(edge, "robbed").status for _ in range(BURST)] == [200] * BURST


@pytest.fixture
def narrow(edge: Edge, tmp_path: Path) -> Iterator[Client]:
    """The public listener of an edge where an address may ask for little."""
    bucket = '"token_bucket": {{"max_tokens": {0}, "tokens_per_fill": {1}, "fill_interval": "{2}s"'
    changed = bucket.format(4000, 400, 1), bucket.format(PER_ADDRESS, 1, 60)
    with variant(edge, tmp_path, changed) as other:
        yield other.public


def exhausted(narrow: Client) -> list[Answer]:
    """The refusals of an address that asks too much, with a wrong key."""
    answers = [narrow.rest("GET", SERVERS, key="wrong") for _ in range(PER_ADDRESS + 10)]
    return [answer for answer in answers if answer.status == 429]


def test_an_address_is_bounded_before_auth_is_asked(edge: Edge, narrow: Client) -> None:
    refused = exhausted(narrow)
    assert {answer.reason for answer in refused} == {"RATE_LIMITED"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.headers["x-ratelimit-remaining"] for answer in refused} == {"0"}
    asked_of_auth = len(edge.auth.seen)
    refusals = [narrow.rest("GET", SERVERS), narrow.grpc(LIST)]
    refusals.append(narrow.rest("GET", SERVERS, key=None, headers=bearer("nonsense")))
    assert {answer.reason for answer in refusals} == {"RATE_LIMITED"}
    assert len(edge.auth.seen) == asked_of_auth


def test_health_is_told_to_an_address_that_asked_too_much(narrow: Client) -> None:
    assert exhausted(narrow)
    eventually(lambda: narrow.rest("GET", "/healthz", key=None).status == 200)
    assert narrow.rest("GET", SERVERS).status == 429


def test_one_address_leaves_anothers_quota_alone(narrow: Client) -> None:
    assert exhausted(narrow)
    neighbour = Client(narrow.port, address="127.0.0.2")
    with closing(neighbour.channel):
        assert neighbour.rest("GET", SERVERS).status == 200
    forged = narrow.rest("GET", SERVERS, headers={"x-forwarded-for": "192.0.2.1"})
    assert forged.status == 429
