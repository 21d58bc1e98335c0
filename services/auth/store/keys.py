"""Keys and policies in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, text
from sqlmodel import col

from services.auth.check.records import KeyRecord
from services.auth.keys.key import ApiKey, Audience, SecretDigest
from services.auth.store.tables import ApiKeyRow, PolicyRow
from services.runtime import access
from services.runtime.database import Database, utc

_RECORD = select(
    col(ApiKeyRow.audience),
    col(ApiKeyRow.account),
    col(ApiKeyRow.pepper),
    col(ApiKeyRow.digest),
    col(ApiKeyRow.capabilities),
    col(ApiKeyRow.cidrs),
    col(ApiKeyRow.policy_digest),
    col(ApiKeyRow.expire_time),
    col(ApiKeyRow.revoke_time),
).where(col(ApiKeyRow.id) == bindparam("id"))
"""Built once: every check of a key that is not cached needs it."""

_ADD_POLICY = text(
    "INSERT INTO policy (digest, content) VALUES (:digest, :content) ON CONFLICT DO NOTHING"
)
"""The same policy may be there, or come at the same moment: both are this one. Spelled out, because
SQLAlchemy has a form of its own for each database, and both databases have this one."""


class SqlKeys:
    """Implements Keys and KeyRecords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, digest: SecretDigest) -> None:
        policy = key.policy()
        async with self._database.write() as session:
            await session.execute(
                _ADD_POLICY, {"digest": policy.digest(), "content": policy.encode()}
            )
            session.add(
                ApiKeyRow(
                    id=key.id,
                    audience=key.audience,
                    account=key.account,
                    label=key.label,
                    capabilities=[*key.capabilities],
                    servers=[*key.servers],
                    cidrs=[*key.cidrs],
                    pepper=digest.pepper,
                    digest=digest.digest,
                    policy_digest=policy.digest(),
                    create_time=key.create_time,
                    expire_time=key.expire_time,
                    revoke_time=None,
                )
            )

    async def get(self, key_id: str) -> ApiKey | None:
        rows = await self._database.fetch(
            select(ApiKeyRow).where(
                col(ApiKeyRow.id) == key_id, col(ApiKeyRow.audience) == Audience.CUSTOMER
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

    async def revoke(
        self, key_id: str, now: datetime, audience: Audience = Audience.CUSTOMER
    ) -> ApiKey | None:
        async with self._database.write() as session:
            row = await session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None or row.audience != audience:
                return None
            row.revoke_time = row.revoke_time or now
        return _key(row)

    async def policy(self, digest: bytes) -> bytes | None:
        query = select(col(PolicyRow.content)).where(col(PolicyRow.digest) == digest)
        rows = await self._database.fetch(query)
        return bytes(rows[0].content) if rows else None

    async def record(self, key_id: str) -> KeyRecord | None:
        rows = await self._database.fetch(_RECORD, {"id": key_id})
        if not rows:
            return None
        row = rows[0]
        return KeyRecord(
            id=key_id,
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
    )
