"""The figures of server_ops: BMCs, operations and webhooks, beside what every service has."""

from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from services.runtime.clock import Clock
from services.runtime.database import Database
from services.runtime.metrics import Asked, Metrics
from services.server_ops.adapters.bmc.figures import BmcFigures
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import HOLDING

OPERATION_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200)
"""A power command takes seconds, an installation up to an hour and more."""


class ServerOpsMetrics(Metrics):
    """The figures of server_ops."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database)
        self._clock = clock
        self.bmc = BmcFigures(self.registry)
        self._accepted = Counter(
            "f2h_operations_accepted",
            "Operations that were accepted by this process.",
            ("kind",),
            registry=self.registry,
        )
        self._ended = Counter(
            "f2h_operations_ended",
            "Operations that ended in this process, by state, and by reason where they failed.",
            ("kind", "state", "reason"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "f2h_operation_seconds",
            "How long operations took, from when they were accepted to their end.",
            ("kind",),
            buckets=OPERATION_SECONDS,
            registry=self.registry,
        )
        self._webhooks = Counter(
            "f2h_webhook_attempts",
            "Attempts to deliver an event to a webhook, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        for kind in Kind:
            self._accepted.labels(kind)
            self._seconds.labels(kind)
        for outcome in ("success", "failure"):
            self._webhooks.labels(outcome)

    def watch_bmcs(
        self,
        *,
        known: Callable[[], int],
        failing: Callable[[], int],
        waiting: Callable[[], int],
        sessions: Callable[[], int],
    ) -> None:
        """Tells at each scrape how it stands with all BMCs."""
        gauges = (
            ("f2h_bmcs", "BMCs that this process has talked to.", known),
            ("f2h_bmcs_failing", "Those that failed the last time they were called.", failing),
            ("f2h_bmc_calls_waiting", "Calls that have a turn at a BMC or wait for it.", waiting),
            ("f2h_bmc_sessions", "BMCs that are kept logged in to.", sessions),
        )
        for name, text, count in gauges:
            Gauge(name, text, registry=self.registry).set_function(count)

    def watch_operations(self, unfinished: Callable[[], Awaitable[list[Operation]]]) -> None:
        """Tells at each scrape of the operations that have not ended, of all processes."""

        async def told() -> Iterable[Metric]:
            return self._unfinished(await unfinished())

        self.registry.register(Asked(told))

    def accepted(self, operation: Operation) -> None:
        """An operation was accepted."""
        self._accepted.labels(operation.kind).inc()

    def ended(self, operation: Operation) -> None:
        """An operation ended."""
        reason = operation.failure.reason if operation.failure else ""
        self._ended.labels(operation.kind, operation.state, reason).inc()
        if operation.end_time is not None:
            seconds = (operation.end_time - operation.create_time).total_seconds()
            self._seconds.labels(operation.kind).observe(max(0.0, seconds))

    def attempted(self, *, well: bool) -> None:
        """An event was sent to a webhook, and whether it was taken."""
        self._webhooks.labels("success" if well else "failure").inc()

    def _unfinished(self, operations: list[Operation]) -> Iterable[Metric]:
        labels = ("kind", "state")
        count = GaugeMetricFamily(
            "f2h_operations_unfinished", "Operations that hold a server.", labels=labels
        )
        oldest = GaugeMetricFamily(
            "f2h_operations_oldest_seconds",
            "For how long the oldest of them holds its server.",
            labels=("kind",),
        )
        now = self._clock()
        tally = Tally((each.kind, each.state) for each in operations)
        for kind in Kind:
            ages = [now - each.create_time for each in operations if each.kind == kind]
            oldest.add_metric((kind,), max((age.total_seconds() for age in ages), default=0.0))
            for state in HOLDING:
                count.add_metric((kind, state), tally[kind, state])
        return count, oldest
