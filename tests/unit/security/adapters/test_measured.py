import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from services.runtime.database import Database
from services.security.adapters.measured import (
    MeasuredBlocklist,
    MeasuredFail2ban,
    MeasuredMailGate,
)
from services.security.antihack.fail2ban import Health, SourceFailed
from services.security.antispam.gate import GateFailed
from services.security.antispam.listing import Delisting, Listing, LookUp, SpamhausList
from services.security.gateways.gateway import Gateway
from services.security.metrics import SecurityMetrics

EU = Gateway("eu1", "EU", ("198.51.100.0/24",), None, mail_gate=True)
US = Gateway("us1", "US", ("203.0.113.0/24",), None, mail_gate=True)
NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Known:
    """Gateways, as far as they are asked for."""

    def __init__(self, *gateways: Gateway) -> None:
        self.gateways = [*gateways]

    async def all(self) -> list[Gateway]:
        return self.gateways


class Answering:
    """Answers every question, or raises."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answer: Any = []

    async def _asked(self, *_: Any, **__: Any) -> Any:
        if self.error:
            raise self.error
        return self.answer

    jails = bans = holding = unban = blocked = holds = block = lift = look_up = _asked


@pytest.fixture
def known() -> Known:
    return Known(EU, US)


@pytest.fixture
async def metrics(tmp_path: Path, known: Known) -> AsyncIterator[SecurityMetrics]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    yield SecurityMetrics(database, known)  # type: ignore[arg-type]
    await database.close()


async def scraped(metrics: SecurityMetrics) -> str:
    return (await asyncio.to_thread(generate_latest, metrics.registry)).decode()


async def test_the_health_of_a_gateway_is_what_was_found_last(
    metrics: SecurityMetrics, known: Known
) -> None:
    asked = Answering()
    fail2ban: Any = MeasuredFail2ban(asked, metrics)
    await fail2ban.jails(EU)
    asked.error = SourceFailed(Health.NOT_RUNNING, "It is not running.")
    for question in (fail2ban.jails(US), fail2ban.bans(US, "sshd"), fail2ban.holding(US, "::1")):
        with pytest.raises(SourceFailed):
            await question
    told = await scraped(metrics)
    assert 'f2h_gateway_health{gateway="eu1",health="OK"} 1.0' in told
    assert 'f2h_gateway_health{gateway="us1",health="NOT_RUNNING"} 1.0' in told
    assert 'f2h_fail2ban_calls_total{health="NOT_RUNNING"} 3.0' in told
    asked.error = SourceFailed(Health.UNREACHABLE, "It said something else.", answered=True)
    with pytest.raises(SourceFailed):
        await fail2ban.unban(US, "sshd", "192.0.2.1")
    assert 'f2h_gateway_health{gateway="us1",health="OK"} 1.0' in await scraped(metrics)
    known.gateways = [EU]
    told = await scraped(metrics)
    assert "us1" not in told
    assert "f2h_gateways 1.0" in told


async def test_a_mail_gate_is_up_when_it_does_what_it_is_told(metrics: SecurityMetrics) -> None:
    asked = Answering()
    gate: Any = MeasuredMailGate(asked, metrics)
    await gate.blocked(EU)
    await gate.holds(EU, "192.0.2.1")
    asked.error = GateFailed("It does not.")
    for question in (gate.block(US, ["192.0.2.1"]), gate.lift(US, ["192.0.2.1"])):
        with pytest.raises(GateFailed):
            await question
    told = await scraped(metrics)
    assert 'f2h_mail_gate_up{gateway="eu1"} 1.0' in told
    assert 'f2h_mail_gate_up{gateway="us1"} 0.0' in told
    assert 'f2h_mail_gate_calls_total{outcome="failure"} 2.0' in told


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (LookUp("192.0.2.1", (), "", NOW), "clean"),
        (LookUp("192.0.2.1", (), "It does not answer.", NOW), "unknown"),
        (
            LookUp(
                "192.0.2.1",
                (Listing(SpamhausList.XBL, ("127.0.0.4",), Delisting.SELF, ""),),
                "",
                NOW,
            ),
            "listed",
        ),
    ],
)
async def test_look_ups_are_counted_by_what_is_known_after_them(
    metrics: SecurityMetrics, found: LookUp, outcome: str
) -> None:
    asked = Answering()
    asked.answer = found
    assert await MeasuredBlocklist(asked, metrics).look_up("192.0.2.1") is found
    told = await scraped(metrics)
    assert f'f2h_dnsbl_look_ups_total{{outcome="{outcome}"}} 1.0' in told
    assert "192.0.2.1" not in told
