"""Keys and policies in the database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from sqlalchemy import DateTime, Row, bindparam, case, delete, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.auth.check.records import KeyRecord
from services.auth.keys.key import (
    ApiKey,
    Audience,
    Calls,
    KeyMade,
    NewKey,
    RequestKnown,
    SecretDigest,
)
from services.auth.keys.usage import Use, hour_of
from services.auth.store.tables import ApiKeyRow, KeyRequestRow, KeyUsageRow, PolicyRow
from services.runtime import access
from services.runtime.database import Database, utc
from services.runtime.errors import ApiError
from services.runtime.policy import Policy

_RECORD = select(
    col(ApiKeyRow.id),
    col(ApiKeyRow.audience),
    col(ApiKeyRow.account),
    col(ApiKeyRow.pepper),
    col(ApiKeyRow.digest),
    col(ApiKeyRow.capabilities),
    col(ApiKeyRow.cidrs),
    col(ApiKeyRow.policy_digest),
    col(ApiKeyRow.expire_time),
    col(ApiKeyRow.revoke_time),
)
_RECORD_BY_ID = _RECORD.where(col(ApiKeyRow.id) == bindparam("name"))
_RECORD_BY_CERTIFICATE = _RECORD.where(col(ApiKeyRow.certificate) == bindparam("name"))
"""Built once: every check of a key that is not cached needs it."""

_ADD_POLICY = text(
    "INSERT INTO policy (digest, content, use_time) VALUES (:digest, :content, :time)"
    " ON CONFLICT (digest) DO UPDATE SET use_time = :time WHERE policy.use_time < :time"
).bindparams(bindparam("time", type_=DateTime(timezone=True)))
"""The same policy may be there, or come at the same moment: both are this one. Spelled out, because
SQLAlchemy has a form of its own for each database, and both databases have this one."""

_ADD_CALLS = text(
    "INSERT INTO key_usage (key_id, hour, capability, calls)"
    " VALUES (:key_id, :hour, :capability, :calls)"
    " ON CONFLICT (key_id, hour, capability) DO UPDATE SET calls = key_usage.calls + :calls"
)

POLICY_DAYS = 1
"""For how long a policy is kept that no key has: a token may name it, and lives for minutes."""

REQUEST_DAYS = 1
"""For how long a request is known by its id."""

USAGE_DAYS = 31


class SqlKeys:
    """Implements Keys, KeyRecords and Uses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewKey) -> None:
        try:
            async with self._database.write() as session:
                await _insert(session, new)
        except IntegrityError:
            text = f"Another key has the certificate {new.certificate}."
            raise ApiError(Reason.ALREADY_EXISTS, text) from None

    async def made(self, caller: str, request_id: str) -> KeyMade | None:
        query = select(KeyRequestRow).where(
            col(KeyRequestRow.caller) == caller, col(KeyRequestRow.request_id) == request_id
        )
        rows = await self._database.fetch(query)
        return KeyMade(rows[0].key_id, rows[0].digest) if rows else None

    async def get(self, key_id: str, audience: Audience = Audience.CUSTOMER) -> ApiKey | None:
        rows = await self._database.fetch(
            select(ApiKeyRow).where(
                col(ApiKeyRow.id) == key_id, col(ApiKeyRow.audience) == audience
            )
        )
        return _key(rows[0]) if rows else None

    async def page(self, account: str, after: str, limit: int) -> list[ApiKey]:
        query = select(ApiKeyRow).where(
            col(ApiKeyRow.account) == account, col(ApiKeyRow.audience) == Audience.CUSTOMER
        )
        if after:
            time, _, key_id = after.partition(" ")
            last = datetime.fromisoformat(time)
            query = query.where(
                (col(ApiKeyRow.create_time) < last)
                | ((col(ApiKeyRow.create_time) == last) & (col(ApiKeyRow.id) < key_id))
            )
        query = query.order_by(col(ApiKeyRow.create_time).desc(), col(ApiKeyRow.id).desc())
        return [_key(row) for row in await self._database.fetch(query.limit(limit))]

    async def change(
        self,
        key_id: str,
        change: Callable[[ApiKey], ApiKey],
        *,
        audience: Audience = Audience.CUSTOMER,
        successor: Callable[[ApiKey], NewKey] | None = None,
    ) -> ApiKey | None:
        async with self._database.write() as session:
            row = await session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None or row.audience != audience:
                return None
            before = _key(row)
            after = change(before)
            if after.policy().digest() != row.policy_digest:
                await _keep(session, after.policy(), utc(row.create_time))
            row.label = after.label
            row.capabilities = [*after.capabilities]
            row.servers = [*after.servers]
            row.cidrs = [*after.cidrs]
            row.policy_digest = after.policy().digest()
            row.expire_time = after.expire_time
            row.revoke_time = after.revoke_time
            row.replaced_by = after.replaced_by
            if successor is not None:
                await _insert(session, successor(before))
        return after

    async def redigest(self, key_id: str, old: SecretDigest, new: SecretDigest) -> None:
        """Replaces what is stored of a key's secret, unless somebody else did."""
        async with self._database.write() as session:
            await session.execute(
                update(ApiKeyRow)
                .where(col(ApiKeyRow.id) == key_id, col(ApiKeyRow.pepper) == old.pepper)
                .values(pepper=new.pepper, digest=new.digest)
            )

    async def digested_with(self, pepper: int, now: datetime) -> int:
        """How many keys that can be used have digests under this pepper."""
        query = select(func.count()).where(
            col(ApiKeyRow.pepper) == pepper,
            col(ApiKeyRow.revoke_time).is_(None),
            col(ApiKeyRow.certificate).is_(None),
            col(ApiKeyRow.expire_time).is_(None) | (col(ApiKeyRow.expire_time) > now),
        )
        return int((await self._database.fetch(query))[0][0])

    async def note(self, uses: Iterable[Use]) -> None:
        """See Uses."""
        async with self._database.write() as session:
            for use in uses:
                if use.last_used_at is not None:
                    await session.execute(
                        update(ApiKeyRow)
                        .where(col(ApiKeyRow.id) == use.key_id)
                        .values(last_used_at=use.last_used_at, last_used_ip=use.last_used_ip)
                    )
                for (hour, capability), calls in use.calls.items():
                    await session.execute(
                        _ADD_CALLS,
                        {
                            "key_id": use.key_id,
                            "hour": hour,
                            "capability": capability,
                            "calls": calls,
                        },
                    )

    async def calls(
        self, key_ids: Iterable[str], now: datetime
    ) -> Mapping[str, Mapping[str, Calls]]:
        day, month = (hour_of(now - timedelta(days=days)) for days in (1, 30))
        recent = func.sum(case((col(KeyUsageRow.hour) > day, col(KeyUsageRow.calls)), else_=0))
        query = (
            select(
                col(KeyUsageRow.key_id),
                col(KeyUsageRow.capability),
                recent.label("recent"),
                func.sum(col(KeyUsageRow.calls)).label("total"),
            )
            .where(col(KeyUsageRow.key_id).in_([*key_ids]), col(KeyUsageRow.hour) > month)
            .group_by(col(KeyUsageRow.key_id), col(KeyUsageRow.capability))
            .order_by(col(KeyUsageRow.key_id), col(KeyUsageRow.capability))
        )
        found: dict[str, dict[str, Calls]] = {}
        for row in await self._database.fetch(query):
            found.setdefault(row.key_id, {})[row.capability] = Calls(
                int(row.recent), int(row.total)
            )
        return found

    async def keep_policy(self, policy: Policy, now: datetime) -> None:
        async with self._database.write() as session:
            await _keep(session, policy, now)

    async def forget_old(self, now: datetime) -> None:
        """Removes what nobody asks for any more: counts, requests, policies that nothing names."""
        in_use = select(col(ApiKeyRow.policy_digest))
        async with self._database.write() as session:
            await session.execute(
                delete(KeyUsageRow).where(
                    col(KeyUsageRow.hour) < hour_of(now - timedelta(days=USAGE_DAYS))
                )
            )
            await session.execute(
                delete(KeyRequestRow).where(
                    col(KeyRequestRow.create_time) < now - timedelta(days=REQUEST_DAYS)
                )
            )
            await session.execute(
                delete(PolicyRow).where(
                    col(PolicyRow.use_time) < now - timedelta(days=POLICY_DAYS),
                    col(PolicyRow.digest).not_in(in_use),
                )
            )

    async def policy(self, digest: bytes) -> bytes | None:
        query = select(col(PolicyRow.content)).where(col(PolicyRow.digest) == digest)
        rows = await self._database.fetch(query)
        return bytes(rows[0].content) if rows else None

    async def record(self, key_id: str) -> KeyRecord | None:
        return _record(await self._database.fetch(_RECORD_BY_ID, {"name": key_id}))

    async def certified(self, name: str) -> KeyRecord | None:
        return _record(await self._database.fetch(_RECORD_BY_CERTIFICATE, {"name": name}))


async def _insert(session: AsyncSession, new: NewKey) -> None:
    """Raises RequestKnown."""
    key = new.key
    if new.request is not None:
        session.add(
            KeyRequestRow(
                caller=new.request.caller,
                request_id=new.request.id,
                digest=new.request.digest,
                key_id=key.id,
                create_time=key.create_time,
            )
        )
        try:
            await session.flush()
        except IntegrityError:
            raise RequestKnown from None
    policy = key.policy()
    await _keep(session, policy, key.create_time)
    session.add(
        ApiKeyRow(
            id=key.id,
            audience=key.audience,
            account=key.account,
            label=key.label,
            capabilities=[*key.capabilities],
            servers=[*key.servers],
            cidrs=[*key.cidrs],
            pepper=new.digest.pepper,
            digest=new.digest.digest,
            policy_digest=policy.digest(),
            create_time=key.create_time,
            expire_time=key.expire_time,
            revoke_time=None,
            replaces=key.replaces,
            certificate=new.certificate,
        )
    )


async def _keep(session: AsyncSession, policy: Policy, now: datetime) -> None:
    await session.execute(
        _ADD_POLICY, {"digest": policy.digest(), "content": policy.encode(), "time": now}
    )


def _record(rows: Sequence[Row[*tuple[Any, ...]]]) -> KeyRecord | None:
    if not rows:
        return None
    row = rows[0]
    return KeyRecord(
        id=row.id,
        audience=access.Audience.Value(row.audience),
        account=row.account,
        pepper=row.pepper,
        digest=row.digest,
        capabilities=frozenset(row.capabilities),
        cidrs=tuple(row.cidrs),
        policy_digest=row.policy_digest,
        expire_time=utc(row.expire_time) if row.expire_time else None,
        revoked=row.revoke_time is not None,
    )


def _key(row: ApiKeyRow | Row[*tuple[Any, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        audience=Audience(row.audience),
        account=row.account,
        label=row.label,
        capabilities=tuple(row.capabilities),
        servers=tuple(row.servers),
        cidrs=tuple(row.cidrs),
        create_time=utc(row.create_time),
        expire_time=utc(row.expire_time) if row.expire_time else None,
        revoke_time=utc(row.revoke_time) if row.revoke_time else None,
        last_used_at=utc(row.last_used_at) if row.last_used_at else None,
        last_used_ip=row.last_used_ip,
        replaces=row.replaces,
        replaced_by=row.replaced_by,
    )
