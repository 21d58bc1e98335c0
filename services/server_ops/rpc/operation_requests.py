"""What every RPC that asks for an operation has in common."""

from services.runtime.call import current_caller
from services.runtime.request_id import request_id as request_id_of
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import OperationRequest


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
        caller=caller.principal.subject,
        caller_kind=caller.kind,
        request_id=request_id_of(request_id),
    )
