"""Structured logs: one JSON object a line, on standard error."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from services.runtime import tracing

_SECRET = ("secret", "password", "api_key", "x-api-key", "principal", "pepper", "authorization")


def configure(service: str, level: str) -> None:
    """Sets up logging for a process. `level` is a name of the standard library's levels."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _withhold_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")


def _name_request(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """What is logged for a request has its id, in whatever process it is done."""
    if request_id := tracing.request_id():
        event["request_id"] = request_id
    return event


def _withhold_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A second line of defence: a field with such a name is never written, whoever logs it."""
    return {name: _withheld(name, value) for name, value in event.items()}


def _withheld(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return "[withheld]"
    if isinstance(value, Mapping):
        return {inner: _withheld(str(inner), each) for inner, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_withheld("", each) for each in value]
    return value
