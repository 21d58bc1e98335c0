"""What servers boot, in the database."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, utc
from services.runtime.sealing import Sealer
from services.server_ops.netboot.boot import Access, Boot, Installation, Progress
from services.server_ops.netboot.image import Image
from services.server_ops.netboot.netboot import BootType, LastBoot, Netboot
from services.server_ops.store.tables import BootRow, NetbootRow, ServerIpRow, ServerRow

_IMAGE: TypeAdapter[Image] = TypeAdapter(Image)
_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)
_INSTALLATION: TypeAdapter[Installation] = TypeAdapter(Installation)
_ACCESS: TypeAdapter[Access] = TypeAdapter(Access)
_PLANNED: TypeAdapter[Netboot] = TypeAdapter(Netboot)


class SqlNetboots:
    """Implements Netboots."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def find(self, hostname: str) -> Netboot:
        query = select(NetbootRow).where(col(NetbootRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        return netboot_of(rows[0]) if rows else Netboot()

    async def put(self, hostname: str, netboot: Netboot) -> None:
        async with self._database.write() as session:
            row = await _row(session, hostname)
            row.boot_type, row.image, row.kernel = netboot.boot_type, netboot.image, netboot.kernel

    async def begun(self, hostname: str) -> None:
        async with self._database.write() as session:
            (await _row(session, hostname)).planned = None

    async def booted(self, hostname: str, last: LastBoot) -> None:
        async with self._database.write() as session:
            row = await _row(session, hostname)
            row.last_boot_type, row.last_boot_time = last.boot_type, last.time

    async def machine(self, mac: str, uuid: str) -> str | None:
        for known_by, value in ((ServerRow.uuid, uuid), (ServerRow.mac, mac)):
            if value:
                query = select(col(ServerRow.hostname)).where(col(known_by) == value).limit(2)
                rows = await self._database.fetch(query)
                if rows:
                    return str(rows[0].hostname) if len(rows) == 1 else None
        return None

    async def owner(self, address: str) -> str | None:
        query = select(col(ServerIpRow.hostname)).where(col(ServerIpRow.ip) == address)
        rows = await self._database.fetch(query)
        return str(rows[0].hostname) if rows else None

    async def plan(self, boot: Boot, access: Access) -> None:
        async with self._database.write() as session:
            of_server = col(BootRow.hostname) == boot.hostname
            of_kind = col(BootRow.boot_type) == boot.boot_type
            gone = (col(BootRow.over) & of_kind) | (col(BootRow.operation) == boot.operation)
            await session.execute(delete(BootRow).where(of_server, gone))
            await session.execute(update(BootRow).where(of_server).values(over=True))
            sealed = self._sealer.seal(str(boot.operation), _ACCESS.dump_json(access))
            session.add(BootRow(**_columns(boot), access=sealed))
            row = await _row(session, boot.hostname)
            row.planned = {
                "boot_type": boot.boot_type,
                "image": boot.image.name,
                "kernel": boot.image.kernel.path,
                "operation": str(boot.operation),
            }

    async def unplan(self, hostname: str) -> None:
        async with self._database.write() as session:
            await unplan(session, hostname)

    async def boot(self, operation: UUID) -> Boot | None:
        return await self._first(select(BootRow).where(col(BootRow.operation) == operation))

    async def by_token(self, token_digest: bytes) -> Boot | None:
        return await self._first(select(BootRow).where(col(BootRow.token_digest) == token_digest))

    async def by_report_token(self, report_digest: bytes) -> Boot | None:
        return await self._first(select(BootRow).where(col(BootRow.report_digest) == report_digest))

    async def by_first_boot_token(self, first_boot_digest: bytes) -> Boot | None:
        of_token = col(BootRow.first_boot_digest) == first_boot_digest
        return await self._first(select(BootRow).where(of_token))

    async def update(self, operation: UUID, change: Callable[[Boot], Boot]) -> Boot:
        async with self._database.write() as session:
            row = await session.get_one(BootRow, operation, with_for_update=True)
            changed = change(_boot(row))
            for name, value in _columns(changed).items():
                setattr(row, name, value)
        return changed

    async def access(self, operation: UUID) -> Access:
        rows = await self._database.fetch(
            select(col(BootRow.access)).where(col(BootRow.operation) == operation)
        )
        return self._open(operation, rows[0].access) if rows else Access()

    async def take_password(self, operation: UUID) -> str:
        async with self._database.write() as session:
            row = await session.get(BootRow, operation, with_for_update=True)
            if row is None:
                return ""
            access = self._open(operation, row.access)
            forgotten = _ACCESS.dump_json(replace(access, password=""))
            row.access = self._sealer.seal(str(operation), forgotten)
        return access.password

    def _open(self, operation: UUID, sealed: bytes) -> Access:
        return _ACCESS.validate_json(self._sealer.open(str(operation), sealed))

    async def _first(self, query: Select[BootRow]) -> Boot | None:
        rows = await self._database.fetch(query)
        return _boot(rows[0]) if rows else None


async def unplan(session: AsyncSession, hostname: str) -> None:
    """Forgets what was planned: the systems that the server booted before are not wanted."""
    await session.execute(
        update(BootRow).where(col(BootRow.hostname) == hostname).values(over=True)
    )
    (await _row(session, hostname)).planned = None


async def _row(session: AsyncSession, hostname: str) -> NetbootRow:
    row = await session.get(NetbootRow, hostname)
    if row is None:
        row = NetbootRow(hostname=hostname, boot_type=BootType.HARDDISK, planned=None)
        session.add(row)
    return row


def netboot_of(row: NetbootRow | Row[*tuple[Any, ...]]) -> Netboot:
    """What a row says that its server boots."""
    last = None
    if row.last_boot_type and row.last_boot_time:
        last = LastBoot(BootType(row.last_boot_type), utc(row.last_boot_time))
    if row.planned:
        return replace(_PLANNED.validate_python(row.planned), last_boot=last)
    return Netboot(BootType(row.boot_type), row.image, row.kernel, last_boot=last)


def _columns(boot: Boot) -> dict[str, Any]:
    return {
        **asdict(boot),
        "image": json.loads(_IMAGE.dump_json(boot.image)),
        "progress": json.loads(_PROGRESS.dump_json(boot.progress)),
        "installation": json.loads(_INSTALLATION.dump_json(boot.installation))
        if boot.installation
        else None,
    }


def _boot(row: BootRow | Row[*tuple[Any, ...]]) -> Boot:
    return Boot(
        operation=row.operation,
        hostname=row.hostname,
        boot_type=BootType(row.boot_type),
        image=_IMAGE.validate_python(row.image),
        expire_time=utc(row.expire_time),
        token_digest=row.token_digest,
        report_digest=row.report_digest,
        over=row.over,
        contact_time=utc(row.contact_time) if row.contact_time else None,
        progress=_PROGRESS.validate_python(row.progress),
        installation=_INSTALLATION.validate_python(row.installation) if row.installation else None,
        first_boot_digest=row.first_boot_digest,
    )
