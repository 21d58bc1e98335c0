import re
import socket

import pytest
from opentelemetry.trace import SpanKind

from services.runtime import tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def begin(traceparent: str) -> str:
    """The id of what begins so, in a task of its own: what is current ends with the task."""
    span = tracing.begin("test", traceparent, SpanKind.SERVER, {})
    span.end()
    return tracing.request_id()


async def test_what_is_continued_keeps_its_id_and_passes_it_on() -> None:
    assert begin(PARENT) == TRACE
    assert tracing.traceparent().split("-")[1] == TRACE
    with tracing.span("part"):
        assert tracing.request_id() == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-0000000000000000-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}",
        f"00-{TRACE.upper()[:-1]}-b7ad6b7169203331-01",
        "é",
    ],
)
async def test_what_nobody_began_has_an_id_of_its_own(traceparent: str) -> None:
    made = {begin(traceparent) for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) and each != TRACE for each in made)


async def test_background_work_has_no_id() -> None:
    with tracing.span("part") as part:
        assert not part.is_recording()
    assert tracing.request_id() == ""
    assert tracing.traceparent() == ""


async def test_without_a_collector_nothing_is_exported() -> None:
    with tracing.exported("test", "", 1.0):
        span = tracing.begin("test", PARENT, SpanKind.SERVER, {})
        assert not span.is_recording()


def test_nothing_connects_where_no_collector_is_set() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        with tracing.exported("test", "", 1.0), pytest.raises(TimeoutError):
            listening.accept()
