"""Pages of rows, newest first."""

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import Mapped

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


def behind(query: Query, time: Mapped[datetime], row_id: Mapped[UUID], after: str) -> Query:
    """The query, newest first, behind a position; from the beginning when that is empty.

    What a position is, says services.server_ops.position.
    """
    if after:
        text, _, name = after.partition(" ")
        last, last_id = datetime.fromisoformat(text), UUID(name)
        query = query.where((time < last) | ((time == last) & (row_id < last_id)))
    return query.order_by(time.desc(), row_id.desc())
