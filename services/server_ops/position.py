"""Where a page of a list ended that is newest first."""

import re
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.runtime.paging import decode_token, not_ours

_FORM = re.compile(
    r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00 [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


class Listed(Protocol):
    """What is listed."""

    @property
    def id(self) -> UUID:
        """Tells it from others of the same time."""
        ...

    @property
    def create_time(self) -> datetime:
        """When it was made, in UTC."""
        ...


def position(listed: Listed) -> str:
    """Its place in the list."""
    return f"{listed.create_time.isoformat()} {listed.id}"


def position_in(token: str) -> str:
    """The position in a page token; empty for the first page. Raises ApiError(INVALID_REQUEST)."""
    place = decode_token(token)
    if place and not is_position(place):
        raise not_ours()
    return place


def is_position(text: str) -> bool:
    """Whether `position` could have made this."""
    if not _FORM.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.partition(" ")[0])
    except ValueError:  # the form alone admits the 45th of a month
        return False
    return True
