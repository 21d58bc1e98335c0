"""f2h.server_ops.v1.OperationService."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import operation_pb2, operation_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime.access import capability_missing
from services.runtime.call import current_caller
from services.runtime.errors import ApiError
from services.runtime.paging import encode_token, page_size
from services.server_ops.inventory.server import Servers, view_of
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.states import State
from services.server_ops.operations.watch import WatchOperation
from services.server_ops.position import position, position_in
from services.server_ops.rpc.operation_message import pack


class OperationServicer(operation_pb2_grpc.OperationServiceServicer):
    """Shows operations to those who may see their servers."""

    def __init__(
        self,
        operations: Operations,
        servers: Servers,
        watch: WatchOperation,
        cancel: CancelOperation,
        asked_with: Mapping[Kind, str],
    ) -> None:
        """`asked_with` are the capabilities that operations of each kind are asked for with."""
        self._operations = operations
        self._servers = servers
        self._watch = watch
        self._cancel = cancel
        self._asked_with = asked_with

    async def GetOperation(
        self, request: operation_pb2.GetOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """The operation, if its server is granted; else the same answer as for none."""
        return pack(await self._granted(request.id))

    async def ListOperations(
        self, request: operation_pb2.ListOperationsRequest, _context: Any
    ) -> operation_pb2.ListOperationsResponse:
        """A page of a server's operations."""
        account = current_caller().account
        await view_of(self._servers, request.hostname, account)
        size = page_size(request.page_size)
        found = await self._operations.page(
            server=request.hostname,
            account=account,
            states=[State(operation_pb2.OperationMetadata.State.Name(s)) for s in request.states],
            after=position_in(request.page_token),
            limit=size + 1,
        )
        page = found[:size]
        more = len(found) > size
        return operation_pb2.ListOperationsResponse(
            operations=[pack(operation) for operation in page],
            next_page_token=encode_token(position(page[-1])) if more else "",
        )

    # A coroutine, for the layers: see Layers.around.
    async def WatchOperation(  # type: ignore[override]
        self, request: operation_pb2.WatchOperationRequest, _context: Any
    ) -> AsyncIterator[operations_pb2.Operation]:
        """The operation, whenever it changes."""
        operation = await self._granted(request.id)
        watched = self._watch.watch(operation, current_caller().principal.subject)
        return (pack(each) async for each in watched)

    async def WaitOperation(
        self, request: operation_pb2.WaitOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """The operation, when it has ended or the caller has waited for long enough."""
        operation = await self._granted(request.id)
        return pack(await self._watch.wait(operation, current_caller().principal.subject))

    async def CancelOperation(
        self, request: operation_pb2.CancelOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Ends the operation, if the caller could have asked for it."""
        operation = await self._granted(request.id)
        capability = self._asked_with[operation.kind]
        if not current_caller().may(capability):
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
            text = f"No operation {operation_id} on a server that is granted to this caller."
            raise ApiError(Reason.NOT_FOUND, text)
        return operation
