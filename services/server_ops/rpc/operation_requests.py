"""What every RPC that asks for an operation has in common."""

import re

from services.runtime.call import current_call, current_caller
from services.runtime.errors import invalid
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import OperationRequest

IDEMPOTENCY_KEY = "idempotency-key"

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{0,64}", re.ASCII)
"""The rule of the field request_id, for the header that says the same."""


def operation_request(
    kind: Kind, hostname: str, request_id: str, steps: tuple[str, ...], **parameters: str
) -> OperationRequest:
    """The request of the present caller. Raises ApiError(INVALID_REQUEST)."""
    caller = current_caller()
    return OperationRequest(
        kind=kind,
        hostname=hostname,
        parameters=parameters,
        steps=steps,
        account=caller.account,
        key_id=caller.principal.subject,
        request_id=_request_id(request_id),
    )


def _request_id(field: str) -> str:
    """The request's id, from its field or from the header Idempotency-Key."""
    header = str(current_call().metadata.get(IDEMPOTENCY_KEY, ""))
    if field and header and field != header:
        raise invalid("request_id", "differs from the header Idempotency-Key; give one of them")
    if not _REQUEST_ID.fullmatch(header):
        raise invalid("Idempotency-Key", "must be 1 to 64 letters, digits, '-' and '_'")
    return field or header
