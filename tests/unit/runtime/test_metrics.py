import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.auth.v1.audit_pb2 import AuditRecord
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from structlog.testing import capture_logs

from lab.ports import HOST, free_port
from services.runtime.audit import Attempt, Outcome
from services.runtime.background import repeated
from services.runtime.call import Caller
from services.runtime.database import Database
from services.runtime.metrics import Asked, Metrics

CALLER = Caller(Principal(subject="k"), "header", None)
ATTEMPT = Attempt("/a.B/C", "", "", "", "")


@pytest.fixture
async def metrics(tmp_path: Path) -> AsyncIterator[Metrics]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    yield Metrics(database)
    await database.close()


async def scraped(metrics: Metrics) -> str:
    """In a thread, as a scrape is."""
    return (await asyncio.to_thread(generate_latest, metrics.registry)).decode()


async def failing() -> Iterable[Metric]:
    raise RuntimeError("text of a driver")


async def answering() -> Iterable[Metric]:
    return [GaugeMetricFamily("answered", "It did.", value=1)]


async def test_what_cannot_be_asked_leaves_the_other_figures_alone(metrics: Metrics) -> None:
    metrics.registry.register(Asked(failing))
    metrics.registry.register(Asked(answering))
    with capture_logs() as logs:
        told = await scraped(metrics)
    assert "answered 1.0" in told
    assert "f2h_database_connections_in_use 0.0" in told
    assert [(each["event"], each["cause"]) for each in logs] == [
        ("figures not read", "RuntimeError")
    ]


class Broken:
    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        raise OSError

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        """Is written."""


async def test_records_that_are_not_written_are_counted_and_still_fail(metrics: Metrics) -> None:
    recorder = metrics.recording(Broken())
    with pytest.raises(OSError):
        await recorder.attempt(CALLER, ATTEMPT)
    await recorder.outcome(CALLER, 1, Outcome(AuditRecord.ACCEPTED))
    told = await scraped(metrics)
    assert 'f2h_audit_failures_total{record="attempt"} 1.0' in told
    assert 'f2h_audit_failures_total{record="outcome"} 0.0' in told
    assert 'f2h_audit_append_seconds_count{record="attempt"} 0.0' in told
    assert 'f2h_audit_append_seconds_count{record="outcome"} 1.0' in told


async def test_background_work_is_counted_by_its_name(metrics: Metrics) -> None:
    done = asyncio.Event()

    async def well() -> None:
        done.set()

    async def badly() -> None:
        raise RuntimeError

    with capture_logs():
        async with repeated((0.0, well), (3600.0, badly), ran=metrics.ran):
            await done.wait()
    told = await scraped(metrics)
    name = "test_background_work_is_counted_by_its_name.<locals>"
    assert f'f2h_background_runs_total{{outcome="failure",work="{name}.badly"}} 1.0' in told
    assert f'f2h_background_last_success_timestamp_seconds{{work="{name}.well"}}' in told
    assert f'f2h_background_last_success_timestamp_seconds{{work="{name}.badly"}}' not in told


async def test_it_is_served_where_it_is_told_and_nowhere_else(metrics: Metrics) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"

    def read() -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    with metrics.serve(""), pytest.raises(OSError):
        await asyncio.to_thread(read)
    with metrics.serve(f"{HOST}:{port}"):
        assert "grpc_server_started_total" in await asyncio.to_thread(read)
    with pytest.raises(OSError):
        await asyncio.to_thread(read)
