"""f2h.server_ops.v1.OperationService."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import operation_pb2, operation_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime.access import capability_missing
from services.runtime.call import current_caller
from services.runtime.errors import ApiError
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.repository import Operations
from services.server_ops.rpc.operation_message import pack


class OperationServicer(operation_pb2_grpc.OperationServiceServicer):
    """Shows operations to the keys that may see their servers."""

    def __init__(
        self, operations: Operations, cancel: CancelOperation, asked_with: Mapping[Kind, str]
    ) -> None:
        """`asked_with` are the capabilities that operations of each kind are asked for with."""
        self._operations = operations
        self._cancel = cancel
        self._asked_with = asked_with

    async def GetOperation(
        self, request: operation_pb2.GetOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """The operation, if its server is granted; else the same answer as for none."""
        return pack(await self._granted(request.id))

    async def CancelOperation(
        self, request: operation_pb2.CancelOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Ends the operation, if the key could have asked for it."""
        operation = await self._granted(request.id)
        capability = self._asked_with[operation.kind]
        policy = current_caller().policy
        if policy is None or capability not in policy.capabilities:
            raise capability_missing(capability)
        return pack(await self._cancel(operation.id))

    async def _granted(self, operation_id: str) -> Operation:
        caller = current_caller()
        operation = await self._operations.find(UUID(operation_id))
        if (
            operation is None
            or operation.account != caller.account
            or not caller.may_act_on(operation.server)
        ):
            text = f"No operation {operation_id} on a server that is granted to this key."
            raise ApiError(Reason.NOT_FOUND, text)
        return operation
