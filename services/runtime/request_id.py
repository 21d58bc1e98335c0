"""The id that a caller gives a request, so that a retry is safe."""

import re

from services.runtime.call import current_call
from services.runtime.errors import invalid

IDEMPOTENCY_KEY = "idempotency-key"

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{1,64}", re.ASCII)
"""The rule of the field request_id, for the header that says the same. Who sends it empty meant to
send one, and would not be safe."""


def request_id(field: str) -> str:
    """The request's id, from its field or from the header Idempotency-Key; empty: it has none.

    Raises ApiError(INVALID_REQUEST).
    """
    given = current_call().metadata.get(IDEMPOTENCY_KEY)
    if given is None:
        return field
    header = str(given)
    if not _REQUEST_ID.fullmatch(header):
        raise invalid("Idempotency-Key", "must be 1 to 64 letters, digits, '-' and '_'")
    if field and field != header:
        raise invalid("request_id", "differs from the header Idempotency-Key; give one of them")
    return header
