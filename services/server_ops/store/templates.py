"""Templates in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, select
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.install.template import Document, Layout, Template
from services.server_ops.netboot.image import ImageFile
from services.server_ops.store.tables import TemplateRow


class SqlTemplates:
    """Implements Templates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Template | None:
        query = select(TemplateRow).where(col(TemplateRow.name) == name)
        rows = await self._database.fetch(query)
        return _template(rows[0]) if rows else None

    async def page(self, after: str, limit: int) -> list[Template]:
        name = col(TemplateRow.name)
        query = select(TemplateRow).where(name > after).order_by(name)
        return [_template(row) for row in await self._database.fetch(query.limit(limit))]

    async def put(self, template: Template) -> None:
        async with self._database.write() as session:
            await session.merge(TemplateRow(**asdict(template)))

    async def delete(self, name: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(TemplateRow, name)
            if row is None:
                return False
            await session.execute(delete(TemplateRow).where(col(TemplateRow.name) == name))
        return True


def _template(row: TemplateRow | Row[*tuple[Any, ...]]) -> Template:
    return Template(
        name=row.name,
        os=row.os,
        version=row.version,
        image=row.image,
        command_line=row.command_line,
        documents=tuple(Document(**document) for document in row.documents),
        disk_image=ImageFile(**row.disk_image) if row.disk_image else None,
        layouts=tuple(Layout(**layout) for layout in row.layouts),
        update_time=utc(row.update_time),
    )
