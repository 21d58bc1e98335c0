"""A service's figures for Prometheus: RPCs, background work, the database, the audit trail.

They are served over plain HTTP on an address of their own, which no listener of the edge leads to.
No label holds what a caller chose: their values are names of ours, or of what operators registered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from services.runtime.audit import Attempt, Outcome, Recorder
from services.runtime.call import Caller
from services.runtime.database import Database
from services.runtime.observing import BUCKETS, RpcFigures
from services.runtime.settings import host_and_port

ANSWER_SECONDS = 10.0
"""How long what a scrape asks for may take. Prometheus waits for 10 s by default."""

log = structlog.get_logger()


class Metrics:
    """What every service counts. Instruments may be used by several threads at once."""

    def __init__(self, database: Database) -> None:
        # Else half of what is read would be when each figure began, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.rpcs = RpcFigures(self.registry)
        self._runs = Counter(
            "f2h_background_runs",
            "Runs of background work, by outcome.",
            ("work", "outcome"),
            registry=self.registry,
        )
        self._success = Gauge(
            "f2h_background_last_success_timestamp_seconds",
            "When background work last ended well.",
            ("work",),
            registry=self.registry,
        )
        self._audit = Histogram(
            "f2h_audit_append_seconds",
            "How long it took to write a record of the audit trail.",
            ("record",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._not_audited = Counter(
            "f2h_audit_failures",
            "Records of the audit trail that could not be written.",
            ("record",),
            registry=self.registry,
        )
        for record in ("attempt", "outcome"):
            self._audit.labels(record)
            self._not_audited.labels(record)
        Gauge(
            "f2h_database_connections_in_use",
            "Connections to the database that somebody has.",
            registry=self.registry,
        ).set_function(database.in_use)

    def ran(self, job: str, *, well: bool) -> None:
        """Background work ended. See services.runtime.background.repeated."""
        self._runs.labels(job, "success" if well else "failure").inc()
        if well:
            self._success.labels(job).set_to_current_time()

    def recording(self, recorder: Recorder) -> Recorder:
        """The same recorder, measured."""
        return _Measured(recorder, self._measured)

    @contextmanager
    def serve(self, address: str) -> Iterator[None]:
        """Inside, Prometheus reads here, at /metrics; an empty address: nowhere."""
        if not address:
            yield
            return
        host, port = host_and_port(address)
        server, thread = start_http_server(port, host, self.registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @contextmanager
    def _measured(self, record: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        except Exception:
            self._not_audited.labels(record).inc()
            raise
        self._audit.labels(record).observe(time.perf_counter() - begun)


class Asked(Collector):
    """Figures that are asked for at each scrape, on the event loop; the scrape is in a thread.

    What cannot be had is left out of the scrape, and no more than that.
    """

    def __init__(self, ask: Callable[[], Awaitable[Iterable[Metric]]]) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()

    def describe(self) -> list[Metric]:
        """Nothing before it is asked."""
        return []

    def collect(self) -> Iterable[Metric]:
        """What Prometheus reads."""
        asked = asyncio.run_coroutine_threadsafe(self._asked(), self._loop)
        try:
            return asked.result(ANSWER_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other figures are told
            asked.cancel()
            log.error("figures not read", cause=type(error).__name__)
            return ()

    async def _asked(self) -> Iterable[Metric]:
        return await self._ask()


class _Measured:
    """Implements Recorder by another one."""

    def __init__(
        self, recorder: Recorder, measured: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._recorder = recorder
        self._measured = measured

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        """See Recorder."""
        with self._measured("attempt"):
            return await self._recorder.attempt(caller, attempt)

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        """See Recorder."""
        with self._measured("outcome"):
            await self._recorder.outcome(caller, attempt, outcome)
