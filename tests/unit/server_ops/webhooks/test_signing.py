import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from services.server_ops.webhooks.event import NAMES, EventType
from services.server_ops.webhooks.signing import headers, new_secret
from tests.unit.server_ops.webhooks.samples import event


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_the_packages_own_verifier_accepts_a_message(data: dict[str, str]) -> None:
    secret, body = new_secret(), event(data=data).body()
    signed = headers("msg_1", body, [secret], datetime.now(UTC))
    assert Verifier(secret).verify(body.encode(), signed)["data"] == data
    with pytest.raises(WebhookVerificationError):
        Verifier(new_secret()).verify(body, signed)
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body + " ", signed)


def test_while_a_secret_is_rotated_both_verify() -> None:
    new, old = new_secret(), new_secret()
    signed = headers("msg_1", "{}", [new, old], datetime.now(UTC))
    assert len(signed["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Verifier(secret).verify("{}", signed)


def test_a_secret_has_32_bytes_and_is_new_each_time() -> None:
    made = [new_secret() for _ in range(100)]
    assert len({*made}) == 100
    assert {len(base64.b64decode(each.removeprefix("whsec_"))) for each in made} == {32}


def test_the_types_of_messages() -> None:
    assert [NAMES[each] for each in EventType.values()[1:]] == [
        "operation.created",
        "operation.succeeded",
        "operation.failed",
        "operation.cancelled",
        "server.power_changed",
        "server.unreachable",
        "server.reachable",
        "webhook.test",
        "address.blocklisted",
        "address.delisted",
        "address.blocked",
        "address.unblocked",
    ]


def test_a_message_says_when_in_utc() -> None:
    kind = EventType.SERVER_UNREACHABLE
    body = event(type=kind, data={"server": "ns1.example.net", "reachability": "UNREACHABLE"})
    assert body.body() == (
        '{"type":"server.unreachable","timestamp":"2026-01-02T03:04:05.678Z",'
        '"data":{"server":"ns1.example.net","reachability":"UNREACHABLE"}}'
    )
