"""Paging as AIP-158 has it: an opaque token that says where the page before ended."""

import base64

from services.runtime.errors import ApiError, invalid

DEFAULT_PAGE_SIZE = 100


def page_size(asked: int) -> int:
    """How many rows a page has; 0 asks for the default."""
    return asked or DEFAULT_PAGE_SIZE


def encode_token(last: str) -> str:
    """The token for the page after the row with the sort key `last`."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def decode_token(token: str) -> str:
    """The sort key in a token, "" for the first page. Raises ApiError(INVALID_REQUEST)."""
    try:
        place = base64.b64decode(token, b"-_", validate=True).decode()
    except ValueError:  # of base64 and of UTF-8
        raise not_ours() from None
    if "\0" in place:  # in no sort key of ours, and PostgreSQL takes none
        raise not_ours()
    return place


def not_ours() -> ApiError:
    """The refusal of a page token that we did not make."""
    return invalid("page_token", "must be the next_page_token of an earlier answer")
