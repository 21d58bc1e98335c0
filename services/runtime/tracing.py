"""One request is followed by one id, through every process: that of its trace.

The id travels as `traceparent` (W3C Trace Context, section 3.2), which the edge makes. Without one,
what begins here has an id of its own. Whether spans are also sent to a collector is for `exported`
to say. They hold what an operator needs to find a fault, and never a secret: no request, no answer,
no text of an exception.
"""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

TRACEPARENT = "traceparent"

QUEUE_SPANS = 4096
"""What waits for the collector. More than that is dropped: a collector that is slow or away delays
no call and takes no memory."""

EXPORT_SECONDS = 2.0
"""How long the collector may take for a batch of spans."""

LONGEST_TEXT = 256
"""What is longer in an attribute is cut."""

_FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
"""Only the edge and our own services write it, in this version of it."""

_tracer = trace.get_tracer("f2hcloud")


@contextmanager
def exported(service: str, collector: str, ratio: float) -> Iterator[None]:
    """Inside, spans of this process are sent to the collector, host and port; empty: none are.

    `ratio` is the part of those traces that is sent which begin here; of others, who began them
    decides. Once in a process.
    """
    if not collector:
        yield
        return
    exporter = OTLPSpanExporter(endpoint=collector, insecure=True, timeout=EXPORT_SECONDS)
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource({SERVICE_NAME: service}),
        span_limits=SpanLimits(max_span_attribute_length=LONGEST_TEXT),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=1000,
            export_timeout_millis=EXPORT_SECONDS * 1000,
        )
    )
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def begin(name: str, traceparent: str, kind: SpanKind, attributes: Mapping[str, str]) -> Span:
    """Begins what the present task does until it ends: a part of a trace, or a new one.

    The span is the current one from now on; who begins it ends it.
    """
    parent = _context(traceparent)
    span = _tracer.start_span(name, parent, kind, attributes=attributes)
    if not span.get_span_context().is_valid:
        # Nothing is exported here, and nobody gave this an id.
        span = NonRecordingSpan(SpanContext(_number(128), _number(64), is_remote=False))
    contexts.attach(trace.set_span_in_context(span, parent))
    return span


@contextmanager
def span(
    name: str, attributes: Mapping[str, str] | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A part of what the present task does for a request. An exception fails it, told by its name.

    Background work that nobody asked for is no trace: there would be many, and all the same.
    """
    if not request_id():
        yield INVALID_SPAN
        return
    with _tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as part:
        try:
            yield part
        except BaseException as error:
            fail(part, type(error).__name__)
            raise


def fail(part: Span, why: str) -> None:
    """Marks a span as failed; `why` is a name and no text."""
    part.set_status(Status(StatusCode.ERROR, why))


def note(name: str, value: str) -> None:
    """Adds an attribute to the present span."""
    trace.get_current_span().set_attribute(name, value)


def request_id() -> str:
    """The id of the present request, 32 hexadecimal digits; empty where there is none."""
    present = trace.get_current_span().get_span_context()
    return trace.format_trace_id(present.trace_id) if present.is_valid else ""


def traceparent() -> str:
    """The header that lets somebody else continue the present trace; empty where there is none."""
    present = trace.get_current_span().get_span_context()
    if not present.is_valid:
        return ""
    ids = trace.format_trace_id(present.trace_id), trace.format_span_id(present.span_id)
    return f"00-{ids[0]}-{ids[1]}-{present.trace_flags:02x}"


def _context(traceparent: str) -> Context:
    """What a traceparent names; nothing where it is none."""
    form = _FORM.fullmatch(traceparent)
    if form is None:
        return Context()
    trace_id, span_id, flags = (int(each, 16) for each in form.groups())
    named = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return trace.set_span_in_context(NonRecordingSpan(named), Context())


def _number(bits: int) -> int:
    """Not zero, which would be no id."""
    return random.getrandbits(bits) or 1
