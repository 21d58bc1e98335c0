"""What is known of BMCs, in the database."""

import random
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.bmc.errors import Trouble
from services.server_ops.bmc.identity import Feature, Identity
from services.server_ops.bmc.observation import PowerState
from services.server_ops.ipmi.status import BmcStatus, Change, Reachability
from services.server_ops.store.tables import BmcStatusRow

JITTER = 0.1
"""Checks that were due at once drift apart by this share of their interval."""


class SqlBmcStatuses:
    """Implements BmcStatuses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, hostname: str) -> BmcStatus:
        query = select(BmcStatusRow).where(col(BmcStatusRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        return _status(rows[0]) if rows else BmcStatus(hostname)

    async def update(self, hostname: str, change: Change) -> BmcStatus | None:
        async with self._database.write() as session:
            row = await session.get(BmcStatusRow, hostname, with_for_update=True)
            if row is None:
                return None
            changed = change(_status(row))
            for name, value in _columns(changed).items():
                setattr(row, name, value)
        return changed

    async def claim_due(self, now: datetime, interval: timedelta, limit: int) -> list[str]:
        is_due = col(BmcStatusRow.due_time) <= now
        if not await self._database.fetch(
            select(col(BmcStatusRow.hostname)).where(is_due).limit(1)
        ):
            return []  # without the one lock on writing
        due = (
            select(BmcStatusRow)
            .where(is_due)
            .order_by(col(BmcStatusRow.due_time))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as session:
            rows = (await session.execute(due)).scalars().all()
            for row in rows:
                row.due_time = now + interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            return [row.hostname for row in rows]


def _columns(status: BmcStatus) -> dict[str, Any]:
    identity = status.identity
    return {
        "reachability": status.reachability,
        "trouble": status.trouble,
        "power": status.power,
        "contact_time": status.contact_time,
        "check_time": status.check_time,
        "failures": status.failures,
        "identity": {**asdict(identity), "features": sorted(identity.features)}
        if identity
        else None,
        "identify_time": status.identify_time,
        "expected_power": status.expected_power,
        "drift_time": status.drift_time,
    }


def _status(row: BmcStatusRow | Row[*tuple[Any, ...]]) -> BmcStatus:
    return BmcStatus(
        hostname=row.hostname,
        reachability=Reachability(row.reachability) if row.reachability else None,
        trouble=Trouble(row.trouble) if row.trouble else None,
        power=PowerState(row.power),
        contact_time=_time(row.contact_time),
        check_time=_time(row.check_time),
        failures=row.failures,
        identity=_identity(row.identity) if row.identity else None,
        identify_time=_time(row.identify_time),
        expected_power=PowerState(row.expected_power) if row.expected_power else None,
        drift_time=_time(row.drift_time),
    )


def _identity(kept: dict[str, Any]) -> Identity:
    features = frozenset(Feature(feature) for feature in kept["features"])
    return Identity(**{**kept, "features": features})


def _time(time: datetime | None) -> datetime | None:
    return utc(time) if time else None
