"""Keys and policies in the database."""

from datetime import datetime
from ipaddress import ip_network

from sqlalchemy import select
from sqlmodel import col

from services.auth.check.check import KeyRecord
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
)


class SqlKeys:
    """Implements Keys and KeyRecords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, digest: SecretDigest) -> None:
        policy = key.policy()
        async with self._database.write() as session:
            await session.merge(PolicyRow(digest=policy.digest(), content=policy.encode()))
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
        async with self._database.read() as session:
            row = await session.get(ApiKeyRow, key_id)
        return _customers(row)

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
        async with self._database.read() as session:
            rows = (await session.execute(query.limit(limit))).scalars()
            return [_key(row) for row in rows]

    async def revoke(self, key_id: str, now: datetime) -> ApiKey | None:
        async with self._database.write() as session:
            row = await session.get(ApiKeyRow, key_id)
            if row is not None and row.audience == Audience.CUSTOMER:
                row.revoke_time = row.revoke_time or now
        return _customers(row)

    async def policy(self, digest: bytes) -> bytes | None:
        async with self._database.read() as session:
            row = await session.get(PolicyRow, digest)
        return row.content if row else None

    async def record(self, key_id: str) -> KeyRecord | None:
        async with self._database.read() as session:
            found = await session.execute(_RECORD.where(col(ApiKeyRow.id) == key_id))
            row = found.first()
        if row is None:
            return None
        return KeyRecord(
            id=key_id,
            audience=access.Audience.Value(row.audience),
            account=row.account,
            pepper=row.pepper,
            digest=row.digest,
            capabilities=frozenset(row.capabilities),
            networks=tuple(ip_network(cidr) for cidr in row.cidrs),
            policy_digest=row.policy_digest,
            expire_time=utc(row.expire_time) if row.expire_time else None,
            revoked=row.revoke_time is not None,
        )


def _customers(row: ApiKeyRow | None) -> ApiKey | None:
    return _key(row) if row is not None and row.audience == Audience.CUSTOMER else None


def _key(row: ApiKeyRow) -> ApiKey:
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
