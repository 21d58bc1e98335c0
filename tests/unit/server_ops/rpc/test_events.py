from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest
from f2h.server_ops.v1 import event_pb2, event_pb2_grpc
from f2h.server_ops.v1.webhook_pb2 import Webhook
from google.rpc import code_pb2

from services.server_ops.rpc.events import EventServicer
from services.server_ops.webhooks.event import Event
from services.server_ops.webhooks.publish import Publish
from tests.unit.server_ops.rpc.serving import STRANGERS, own_name, refusal, serve, stranger
from tests.unit.server_ops.webhooks.samples import NOW
from tests.unit.serving import fields_of, info_of, new_address

Stub = event_pb2_grpc.EventServiceStub
EventType = Webhook.EventType


class Kept:
    """The part of Deliveries that keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def publish(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def deliveries() -> Kept:
    return Kept()


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, deliveries: Kept) -> Iterator[grpc.aio.Server]:
    publish = Publish(deliveries, lambda: NOW, lambda: "msg_1")  # type: ignore[arg-type]

    def add(to: grpc.aio.Server) -> None:
        event_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(publish), to)

    with serve(event_pb2, grpc_addr, add) as built:
        yield built


@pytest.fixture
def kept(deliveries: Kept) -> Kept:
    deliveries.events.clear()
    return deliveries


def form(**fields: Any) -> event_pb2.PublishEventRequest:
    filled = {
        "account": "demo",
        "type": EventType.ADDRESS_BLOCKED,
        "data": {"server": "ns1.example.net", "ip": "203.0.113.9"},
        **fields,
    }
    return event_pb2.PublishEventRequest(**filled)


def test_an_event_is_kept_for_the_account_as_it_was_told(grpc_stub: Stub, kept: Kept) -> None:
    grpc_stub.PublishEvent(form(), metadata=own_name(), timeout=10)
    data = {"server": "ns1.example.net", "ip": "203.0.113.9"}
    assert kept.events == [Event("msg_1", "demo", EventType.ADDRESS_BLOCKED, NOW, data)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ADDRESS_BLOCKLISTED", "address.blocklisted"),
        ("ADDRESS_DELISTED", "address.delisted"),
        ("ADDRESS_BLOCKED", "address.blocked"),
        ("ADDRESS_UNBLOCKED", "address.unblocked"),
    ],
)
def test_receivers_are_told_of_addresses_by_these_names(
    grpc_stub: Stub, kept: Kept, name: str, told: str
) -> None:
    grpc_stub.PublishEvent(form(type=EventType.Value(name)), metadata=own_name(), timeout=10)
    [event] = kept.events
    assert f'"type":"{told}"' in event.body()


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("account", {"account": ""}),
        ("account", {"account": "a" * 64}),
        ("type", {"type": EventType.EVENT_TYPE_UNSPECIFIED}),
        ("type", {"type": EventType.WEBHOOK_TEST}),
        ("type", {"type": 999}),
    ],
)
def test_an_event_that_is_none_is_refused(
    grpc_stub: Stub, kept: Kept, field: str, fields: dict[str, Any]
) -> None:
    status = refusal(grpc_stub.PublishEvent, form(**fields), own_name())
    assert info_of(status).reason == "INVALID_REQUEST"
    assert {*fields_of(status)} == {field}
    assert kept.events == []


@pytest.mark.parametrize("kind", STRANGERS)
def test_nobody_but_our_services_may_tell(grpc_stub: Stub, kept: Kept, kind: str) -> None:
    status = refusal(grpc_stub.PublishEvent, form(), stranger(kind))
    assert (status.code, info_of(status).reason) == (
        code_pb2.PERMISSION_DENIED,
        "AUDIENCE_NOT_ALLOWED",
    )
    assert kept.events == []


def test_who_is_not_known_may_not_tell(grpc_stub: Stub, kept: Kept) -> None:
    for metadata in ((), own_name("other")):
        status = refusal(grpc_stub.PublishEvent, form(), metadata)
        assert info_of(status).reason == "PRINCIPAL_INVALID"
    assert kept.events == []
