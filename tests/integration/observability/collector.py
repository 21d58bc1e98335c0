"""A collector of traces, OTLP over gRPC, that remembers what it was sent."""

import threading
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from lab.ports import HOST, free_port


@dataclass(frozen=True)
class Seen:
    """A span, and the process that made it."""

    service: str
    span: Span

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def attributes(self) -> dict[str, str]:
        return {each.key: each.value.string_value for each in self.span.attributes}


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """As a context manager, it listens inside."""

    port: int = field(default_factory=free_port)
    seen: list[Seen] = field(default_factory=list)
    hold: threading.Event | None = None
    """While it is not set, nothing is answered."""

    def Export(self, request: Any, context: Any) -> Any:
        if self.hold is not None:
            self.hold.wait(30)
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.seen += [Seen(names["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def of(self, trace: str) -> list[Seen]:
        """The spans of a trace."""
        return [each for each in self.seen if each.trace == trace]

    def __enter__(self) -> Self:
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            self, self._server
        )
        assert self._server.add_insecure_port(self.address)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()
