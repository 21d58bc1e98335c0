"""What every RPC leaves behind, whatever becomes of it: figures, and a span of its trace.

The figures are RED, rate, errors and duration, under the names of go-grpc-prometheus, so that the
dashboards and rules that people have fit. `reason` is a name of f2h.access.v1.Reason: together with
the code it tells a refusal from a fault.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager
from contextvars import ContextVar
from typing import Any

import grpc
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.runtime import tracing
from services.runtime.access import Rule

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
"""Seconds. The edge gives a call 15 at most; a stream may take longer."""

_RPC = ("grpc_service", "grpc_method")

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class _Ending:
    """How a call ended."""

    code = grpc.StatusCode.OK.name
    reason = ""


_ending: ContextVar[_Ending] = ContextVar("ending")


def failed(code: int, reason: str) -> None:
    """Says of the present call how it will end: a google.rpc.Code, and a name of Reason."""
    ending = _ending.get(None)
    if ending is not None:
        ending.code, ending.reason = _CODES[code], reason


class RpcFigures:
    """The figures of all RPCs of a service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter(
            "grpc_server_started", "RPCs that were begun.", _RPC, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled",
            "RPCs that ended, by code and reason.",
            (*_RPC, "grpc_code", "reason"),
            registry=registry,
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long RPCs took.",
            _RPC,
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "grpc_server_in_flight", "RPCs that are under way.", _RPC, registry=registry
        )


class Observe:
    """Stands around the layers of services.runtime.interceptors, and around a whole stream."""

    def __init__(self, figures: RpcFigures, rules: Mapping[str, Rule]) -> None:
        self._figures = figures
        self._rules = rules

    def unary(
        self, path: str, handler: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        """Around an RPC that answers with one message."""
        observed = self._around(path)

        async def unary(request: Any, context: Any) -> Any:
            with observed(context):
                return await handler(request, context)

        return unary

    def stream(
        self, path: str, handler: Callable[[Any, Any], AsyncGenerator[Any, None]]
    ) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
        """Around an RPC that answers with a stream, to its end."""
        observed = self._around(path)

        async def stream(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            with observed(context):
                async with aclosing(handler(request, context)) as messages:
                    async for message in messages:
                        yield message

        return stream

    def _around(self, path: str) -> Callable[[Any], AbstractContextManager[None]]:
        _, service, method = path.split("/")
        figures, labels = self._figures, (service, method)
        started = figures.started.labels(*labels)
        seconds = figures.seconds.labels(*labels)
        in_flight = figures.in_flight.labels(*labels)
        handled = {("OK", ""): figures.handled.labels(*labels, "OK", "")}
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        if rule := self._rules.get(path):
            attributes["f2h.capability"] = rule.capability

        @contextmanager
        def observed(context: Any) -> Iterator[None]:
            metadata = dict(context.invocation_metadata() or ())
            parent = str(metadata.get(tracing.TRACEPARENT, ""))
            span = tracing.begin(path[1:], parent, SpanKind.SERVER, attributes)
            ending = _Ending()
            _ending.set(ending)
            started.inc()
            in_flight.inc()
            begun = time.perf_counter()
            try:
                yield
            except BaseException as error:
                if ending.code == "OK":
                    # Not by a word of ours: the client is gone, or its deadline has passed.
                    ending.code = "UNKNOWN" if isinstance(error, Exception) else "CANCELLED"
                raise
            finally:
                seconds.observe(time.perf_counter() - begun)
                in_flight.dec()
                end = ending.code, ending.reason
                if end not in handled:
                    handled[end] = figures.handled.labels(*labels, *end)
                handled[end].inc()
                if span.is_recording():
                    span.set_attribute("rpc.grpc.status_code", ending.code)
                    if ending.code != "OK":
                        tracing.fail(span, ending.reason or ending.code)
                span.end()

        return observed
