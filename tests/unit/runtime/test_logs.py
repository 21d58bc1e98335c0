import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.trace import SpanKind

from services.runtime import logs, tracing


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What a service that logs at INFO wrote, one object a line."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("auth", "INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_an_object_that_says_what_when_and_who(written: Any) -> None:
    structlog.get_logger().info("serving", listen="127.0.0.1:50051")
    [line] = written()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "serving",
        "level": "info",
        "service": "auth",
        "listen": "127.0.0.1:50051",
    }


async def test_a_line_for_a_request_has_its_id(written: Any) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    tracing.begin("test", f"00-{trace}-b7ad6b7169203331-00", SpanKind.SERVER, {})
    structlog.get_logger().info("told")
    [line] = written()
    assert line["request_id"] == trace


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "client_secret",
        "Password",
        "BMC_PASSWORD",
        "api_key",
        "x-api-key",
        "x-f2h-principal",
        "pepper",
        "peppers",
        "Authorization",
    ],
)
def test_a_field_whose_name_says_that_it_is_secret_is_withheld(written: Any, name: str) -> None:
    structlog.get_logger().info("event", **{name: "canary", "rpc": "kept"})
    [line] = written()
    assert "canary" not in json.dumps(line)
    assert (line[name], line["rpc"]) == ("[withheld]", "kept")


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"x-api-key": "canary"}},
        {"calls": [{"metadata": {"x-f2h-principal": "canary"}}]},
    ],
)
def test_a_secret_inside_a_field_is_withheld_too(written: Any, fields: dict[str, Any]) -> None:
    structlog.get_logger().info("event", **fields)
    assert "canary" not in json.dumps(written())


def test_a_failure_is_written_with_its_trace_in_one_line(written: Any) -> None:
    try:
        int("what happened")
    except ValueError:
        structlog.get_logger().exception("internal error", rpc="/a/b")
    [line] = written()
    assert line["level"] == "error"
    assert "ValueError: invalid literal" in line["exception"]


def test_what_is_below_the_level_is_not_written(written: Any) -> None:
    structlog.get_logger().debug("detail")
    assert written() == []
