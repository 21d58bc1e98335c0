"""How much may be asked for: 429, when to try again, and nobody at another's cost."""

from pathlib import Path

from tests.edge.conftest import LIMITS, Edge
from tests.edge.stand_ins import GOOD_KEY, Answer, denied, status
from tests.edge.test_edge_tokens import bearer, token

SERVERS = "/api/servers"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"
BURST = LIMITS["subject_limit"].burst


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
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"} in (
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
    assert asked(edge, "shared").status == 429


def test_an_address_is_bounded_before_auth_is_asked_and_health_is_not(
    edge: Edge, tmp_path: Path
) -> None:
    from edge.process import EdgeProcess
    from edge.render import Limit, render
    from lab import ca
    from tests.edge.conftest import DESCRIPTOR
    from tests.edge.stand_ins import Client, eventually, free_port

    port = free_port()
    ca.make(tmp_path / "tls")
    render(
        tmp_path / "envoy.json",
        public=("127.0.0.1", port),
        internal=("127.0.0.1", free_port()),
        admin_port=free_port(),
        upstreams={"auth": edge.auth.address}
        | {name: edge.services[name].address for name in ("server_ops", "security")},
        descriptor=DESCRIPTOR,
        tls=tmp_path / "tls",
        limits={"address_limit": Limit(20, 1)},
    )
    with EdgeProcess(tmp_path / "envoy.json", log=tmp_path / "log", concurrency=1):
        client = Client(port)
        eventually(lambda: client.rest("GET", "/healthz", key=None).status == 200)
        answers = [client.rest("GET", SERVERS, key="wrong") for _ in range(30)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert {answer.reason for answer in refused} == {"RATE_LIMITED"}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        asked_of_auth = len(edge.auth.seen)
        assert client.rest("GET", SERVERS).status == 429
        assert len(edge.auth.seen) == asked_of_auth
        assert client.rest("GET", "/healthz", key=None).status == 200
        client.channel.close()
