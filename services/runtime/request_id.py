"""The id that a caller gives a request, so that a retry is safe."""

import re

from services.runtime.call import current_call
from services.runtime.errors import invalid

IDEMPOTENCY_KEY = "idempotency-key"

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{0,64}", re.ASCII)
"""The rule of the field request_id, for the header that says the same."""


def request_id(field: str) -> str:
    """The request's id, from its field or from the header Idempotency-Key; empty: it has none.

    Raises ApiError(INVALID_REQUEST).
    """
    header = str(current_call().metadata.get(IDEMPOTENCY_KEY, ""))
    if field and header and field != header:
        raise invalid("request_id", "differs from the header Idempotency-Key; give one of them")
    if not _REQUEST_ID.fullmatch(header):
        raise invalid("Idempotency-Key", "must be 1 to 64 letters, digits, '-' and '_'")
    return field or header
