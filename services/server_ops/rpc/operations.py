"""f2h.server_ops.v1.OperationService."""

from typing import Any
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import operation_pb2, operation_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime.call import current_caller
from services.runtime.errors import ApiError
from services.server_ops.operations.repository import Operations
from services.server_ops.rpc.operation_message import pack


class OperationServicer(operation_pb2_grpc.OperationServiceServicer):
    """Shows operations to the keys that may see their servers."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def GetOperation(
        self, request: operation_pb2.GetOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """The operation, if its server is granted; else the same answer as for none."""
        caller = current_caller()
        operation = await self._operations.find(UUID(request.id))
        if (
            operation is None
            or operation.account != caller.account
            or not caller.may_act_on(operation.server)
        ):
            text = f"No operation {request.id} on a server that is granted to this key."
            raise ApiError(Reason.NOT_FOUND, text)
        return pack(operation)
