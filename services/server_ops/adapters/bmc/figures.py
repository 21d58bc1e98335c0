"""What calls to BMCs leave behind: figures, and spans of the traces of those who wait for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.runtime import tracing
from services.runtime.observing import BUCKETS
from services.server_ops.adapters.bmc.worker import Lost
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcError,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)

_OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (Lost, "lost"),
    (BmcUnreachable, "unreachable"),
    (BmcAuthFailed, "auth_failed"),
    (BmcRefused, "refused"),
    (BmcUnsupported, "unsupported"),
    (BmcError, "other"),
)


class BmcFigures:
    """The figures of all BMCs together: one figure for each would be thousands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "f2h_bmc_calls",
            "Calls to BMCs, by what was asked and what came of it.",
            ("method", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "f2h_bmc_call_seconds",
            "How long BMCs took.",
            ("method",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._waited = Histogram(
            "f2h_bmc_wait_seconds",
            "How long calls waited for their turn at a BMC.",
            buckets=BUCKETS,
            registry=registry,
        )

    @contextmanager
    def called(self, method: str, command: str = "") -> Iterator[None]:
        """Around a call of a BMC; `command` is what is sent to the chassis."""
        begun = time.perf_counter()
        outcome = "ok"
        attributes = {"f2h.bmc.command": command} if command else {}
        try:
            with tracing.span(f"bmc {method}", attributes):
                yield
        except BaseException as error:
            outcome = next(
                (name for kind, name in _OUTCOMES if isinstance(error, kind)), "broken_off"
            )
            raise
        finally:
            self._seconds.labels(method).observe(time.perf_counter() - begun)
            self._calls.labels(method, outcome).inc()

    @contextmanager
    def waited(self) -> Iterator[None]:
        """Around the waiting for a turn."""
        begun = time.perf_counter()
        try:
            with tracing.span("bmc wait"):
                yield
        finally:
            self._waited.observe(time.perf_counter() - begun)
