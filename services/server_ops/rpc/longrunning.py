"""google.longrunning.Operations."""

from typing import Any
from uuid import UUID

import grpc
from f2h.server_ops.v1 import operation_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from services.runtime.errors import invalid
from services.server_ops.rpc.operations import OperationServicer

SERVICE = "google.longrunning.Operations"


class LongrunningServicer:
    """google.longrunning.Operations: the same, as Google's client libraries ask for it.

    The rules of its methods are those of the OperationService's methods that stand for them.
    """

    def __init__(self, ours: OperationServicer) -> None:
        self._ours = ours

    async def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """See OperationServicer."""
        return await self._ours.GetOperation(
            operation_pb2.GetOperationRequest(id=_id(request.name)), context
        )

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """See OperationServicer. A timeout that is asked for is not longer than ours."""
        return await self._ours.WaitOperation(
            operation_pb2.WaitOperationRequest(id=_id(request.name)), context
        )

    async def CancelOperation(
        self, request: operations_pb2.CancelOperationRequest, context: Any
    ) -> empty_pb2.Empty:
        """See OperationServicer."""
        await self._ours.CancelOperation(
            operation_pb2.CancelOperationRequest(id=_id(request.name)), context
        )
        return empty_pb2.Empty()

    def add_to(self, server: Any) -> None:
        """Adds what is built. (Google's own generated code is of a kind that no layer sees.)"""
        methods = {
            self.GetOperation: (operations_pb2.GetOperationRequest, operations_pb2.Operation),
            self.WaitOperation: (operations_pb2.WaitOperationRequest, operations_pb2.Operation),
            self.CancelOperation: (operations_pb2.CancelOperationRequest, empty_pb2.Empty),
        }
        server.add_registered_method_handlers(
            SERVICE,
            {
                method.__name__: grpc.unary_unary_rpc_method_handler(
                    method,
                    request_deserializer=request.FromString,
                    response_serializer=response.SerializeToString,
                )
                for method, (request, response) in methods.items()
            },
        )


def _id(name: str) -> str:
    """The id in a resource name. Raises ApiError(INVALID_REQUEST)."""
    kind, _, found = name.partition("/")
    try:
        return str(UUID(found)) if kind == "operations" else _refuse_name()
    except ValueError:
        return _refuse_name()


def _refuse_name() -> str:
    raise invalid("name", 'must be "operations/" and an id, as the operation itself says')
