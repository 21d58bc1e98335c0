"""Images in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, select
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.netboot.image import Image, ImageFile, ImageKind
from services.server_ops.store.tables import ImageRow


class SqlImages:
    """Implements Images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Image | None:
        query = select(ImageRow).where(col(ImageRow.name) == name)
        rows = await self._database.fetch(query)
        return _image(rows[0]) if rows else None

    async def page(self, after: str, limit: int) -> list[Image]:
        query = select(ImageRow).where(col(ImageRow.name) > after).order_by(col(ImageRow.name))
        return [_image(row) for row in await self._database.fetch(query.limit(limit))]

    async def put(self, image: Image) -> None:
        async with self._database.write() as session:
            await session.merge(ImageRow(**asdict(image)))

    async def delete(self, name: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(ImageRow, name)
            if row is None:
                return False
            await session.execute(delete(ImageRow).where(col(ImageRow.name) == name))
        return True


def _image(row: ImageRow | Row[*tuple[Any, ...]]) -> Image:
    return Image(
        name=row.name,
        kind=ImageKind(row.kind),
        kernel=ImageFile(**row.kernel),
        initrd=ImageFile(**row.initrd),
        command_line=row.command_line,
        update_time=utc(row.update_time),
    )
