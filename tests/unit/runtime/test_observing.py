"""Every call is counted once, however it ends, and has its id for as long as it takes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from f2h.access.v1.reason_pb2 import Reason
from prometheus_client import CollectorRegistry

from services.runtime import tracing
from services.runtime.errors import ApiError
from services.runtime.interceptors import report
from services.runtime.observing import Observe, RpcFigures

PATH = "/test.v1.Service/Do"
LABELS = {"grpc_service": "test.v1.Service", "grpc_method": "Do"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Context:
    """What a handler is given."""

    def __init__(self) -> None:
        self.details: tuple[tuple[str, Any], ...] = ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("traceparent", f"00-{TRACE}-b7ad6b7169203331-00"),)

    async def abort(self, code: grpc.StatusCode, text: str, trailing: Any) -> None:
        self.details = trailing
        raise grpc.aio.AbortError


class Observed:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.observe = Observe(RpcFigures(self.registry), {})

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {**LABELS, **labels}) or 0.0

    def handled(self, code: str, reason: str = "") -> float:
        return self.value("grpc_server_handled_total", grpc_code=code, reason=reason)


@pytest.fixture
def observed() -> Observed:
    return Observed()


async def test_a_call_that_succeeds(observed: Observed) -> None:
    async def handler(_request: Any, _context: Any) -> str:
        assert tracing.request_id() == TRACE
        assert observed.value("grpc_server_in_flight") == 1
        return "answer"

    assert await observed.observe.unary(PATH, handler)(None, Context()) == "answer"
    assert observed.handled("OK") == 1
    assert observed.value("grpc_server_started_total") == 1
    assert observed.value("grpc_server_handling_seconds_count") == 1
    assert observed.value("grpc_server_in_flight") == 0


async def test_a_refusal_is_counted_with_its_reason_and_names_the_request(
    observed: Observed,
) -> None:
    async def handler(_request: Any, _context: Any) -> None:
        raise ApiError(Reason.SERVER_BUSY, "busy")

    context = Context()
    with pytest.raises(grpc.aio.AbortError):
        await observed.observe.unary(PATH, report(PATH, handler))(None, context)
    assert observed.handled("ABORTED", "SERVER_BUSY") == 1
    assert observed.handled("OK") == 0
    assert TRACE.encode() in dict(context.details)["grpc-status-details-bin"]


async def test_a_call_that_nobody_waits_for_any_more(observed: Observed) -> None:
    begun = asyncio.Event()

    async def handler(_request: Any, _context: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    call: Any = observed.observe.unary(PATH, handler)(None, Context())
    task = asyncio.create_task(call)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert observed.handled("CANCELLED") == 1
    assert observed.value("grpc_server_in_flight") == 0


async def test_a_stream_is_one_call_to_its_end(observed: Observed) -> None:
    async def handler(_request: Any, _context: Any) -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number

    stream = observed.observe.stream(PATH, handler)(None, Context())
    assert await anext(stream) == 0
    assert observed.value("grpc_server_in_flight") == 1
    assert observed.handled("OK") == 0
    assert [number async for number in stream] == [1, 2]
    assert observed.handled("OK") == 1
    assert observed.value("grpc_server_in_flight") == 0


async def test_a_stream_that_its_reader_leaves(observed: Observed) -> None:
    closed = []

    async def handler(_request: Any, _context: Any) -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    stream = observed.observe.stream(PATH, handler)(None, Context())
    await anext(stream)
    await stream.aclose()
    assert closed == [True]
    assert observed.handled("CANCELLED") == 1
