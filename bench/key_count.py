"""What a check costs with a thousand keys and with a million."""

import asyncio
import os
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.server_ops.v1 import server_pb2
from sqlalchemy import create_engine, insert

from bench.load import BenchError
from bench.report import Finding, verdict
from lab import demo
from services.auth.check.check import Attempt, Check
from services.auth.check.failures import Failures
from services.auth.check.records import SessionRecord
from services.auth.keys.digests import Digests
from services.auth.keys.key import ApiKey, Audience
from services.auth.keys.ring import Dated, KeyRing
from services.auth.keys.secret import KeyText, generate
from services.auth.keys.usage import Usage
from services.auth.settings import AuthSettings
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.auth.store.tables import ApiKeyRow
from services.runtime.access import rules
from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from services.runtime.principal import PrincipalSigner
from services.runtime.quota import PerMinute
from services.runtime.settings import KEY_BYTES

FEW, MANY = 1_000, 1_000_000
ROUNDS = 9
COLD_CHECKS = 1_000
WARM_CHECKS = 2_000
WORKING_SET = 100

GROWTH = 1.1

_CHUNK = 20_000
_KNOWN_PART = 10_000
"""So many keys, spread over the table, have a text that can be presented."""
_PATH = "/f2h.server_ops.v1.ServerService/GetServer"
_PEPPERS = {1: Dated(os.urandom(KEY_BYTES), datetime.fromtimestamp(0, UTC))}

_COLUMNS = (
    ("µs for a check", ""),
    ("1,000 keys", "with so many keys in the database."),
    ("1,000,000 keys", "with so many keys in the database."),
    ("ratio", "the second by the first, round by round, then the median."),
)


class _NoSessions:
    """Nobody is signed in."""

    async def record(self, _session_id: str) -> SessionRecord | None:
        return None

    async def touch(self, session_id: str, now: datetime) -> None:
        raise NotImplementedError


class Keys:
    """A database of keys, and checks on it."""

    def __init__(self, file: Path, count: int) -> None:
        url = f"sqlite:///{file}"
        migrate(url, MIGRATIONS)
        self._digests = Digests(KeyRing(_PEPPERS, system_clock))
        self._texts: list[KeyText] = []
        self._fill(url, count)
        self._database = Database(url)
        self._records = SqlKeys(self._database)
        self._signer = PrincipalSigner(1, Ed25519PrivateKey.generate())
        self._rules = rules(server_pb2)

    async def cold(self) -> float:
        """Microseconds for a check of a key that is not in memory."""
        texts = random.sample(self._texts, COLD_CHECKS)
        return await self._time(self._check(), texts)

    async def warm(self) -> float:
        """Microseconds for a check of a key that was read just before."""
        working = random.sample(self._texts, WORKING_SET)
        check = self._check()
        await self._time(check, working)
        return await self._time(check, random.choices(working, k=WARM_CHECKS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._database.close()

    def _check(self) -> Check:
        """A check with nothing in its memory."""
        defaults = AuthSettings.model_fields
        return Check(
            self._rules,
            self._records,
            _NoSessions(),
            digests=self._digests,
            signer=self._signer,
            usage=Usage(self._records, system_clock),
            failures=Failures(PerMinute(defaults["failures_per_minute"].default)),
            clock=system_clock,
            idle=timedelta(seconds=defaults["session_idle_seconds"].default),
            origins=frozenset(),
            cache_size=defaults["key_cache_size"].default,
            cache_seconds=defaults["key_cache_seconds"].default,
        )

    async def _time(self, check: Check, texts: list[KeyText]) -> float:
        attempts = [Attempt(_PATH, "public", str(text), "127.0.0.1") for text in texts]
        start = perf_counter()
        for attempt in attempts:
            if not (await check(attempt)).principal:
                raise BenchError("a check passed a call without a principal")
        return (perf_counter() - start) / len(attempts) * 1e6

    def _fill(self, url: str, count: int) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            rows = self._rows(count)
            while chunk := [*islice(rows, _CHUNK)]:
                connection.execute(insert(ApiKeyRow), chunk)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()

    def _rows(self, count: int) -> Iterator[dict[str, Any]]:
        """`count` keys; making a text is slow, so one in some has a text that is kept."""
        step = max(1, count // _KNOWN_PART)
        now = datetime.now(UTC)
        policy = ApiKey(
            id="",
            audience=Audience.CUSTOMER,
            account=demo.ACCOUNT,
            label="",
            capabilities=("server.details",),
            servers=(demo.HOSTNAME,),
            cidrs=("127.0.0.0/8",),
            create_time=now,
            expire_time=None,
        )
        for number in range(count):
            if number % step == 0:
                text = generate()
                self._texts.append(text)
            else:
                text = KeyText(os.urandom(8).hex(), os.urandom(20).hex()[:39])
            yield {
                "id": text.id,
                "audience": policy.audience,
                "account": f"account-{number % 50_000}",
                "label": "CI, monitoring",
                "capabilities": [*policy.capabilities],
                "servers": [*policy.servers],
                "cidrs": [*policy.cidrs],
                "pepper": self._digests.in_use,
                "digest": self._digests.digest(text.secret, self._digests.in_use),
                "policy_digest": os.urandom(32),
                "create_time": now,
                "expire_time": None,
                "revoke_time": None,
            }


def measure() -> Finding:
    """Fills both databases and checks keys of them in turn."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Finding:
    few_keys = await asyncio.to_thread(Keys, folder / "few.db", FEW)
    many_keys = await asyncio.to_thread(Keys, folder / "many.db", MANY)
    cold: list[tuple[float, float]] = []
    warm: list[tuple[float, float]] = []
    async with few_keys as few, many_keys as many:
        for number in range(ROUNDS + 1):
            first, second = (few, many) if number % 2 else (many, few)
            figures = {each: (await each.cold(), await each.warm()) for each in (first, second)}
            if number:  # the first round warms up
                cold.append((figures[few][0], figures[many][0]))
                warm.append((figures[few][1], figures[many][1]))
    return Finding(
        "The check, by the number of keys",
        "What auth does for each call, in process, without the transport: the key's form, its\n"
        "record, digest, networks, capability, and the signed principal. Cold: every check reads\n"
        f"another key from SQLite. Warm: {WORKING_SET} keys that were read just before.\n"
        f"{ROUNDS} rounds in turn, the first one changing; medians.",
        _COLUMNS,
        [_row("cold", cold), _row("warm", warm)],
        [
            verdict("1,000,000 / 1,000 keys, cold", _ratio(cold), most=GROWTH),
            verdict("1,000,000 / 1,000 keys, warm", _ratio(warm), most=GROWTH),
        ],
    )


def _row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    few, many = (median(column) for column in zip(*pairs, strict=True))
    return [name, f"{few:.1f}", f"{many:.1f}", f"{_ratio(pairs):.2f}"]


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return median(many / few for few, many in pairs)
