"""f2h.server_ops.v1.PowerService."""

from typing import Any

from f2h.server_ops.v1 import power_pb2, power_pb2_grpc
from google.longrunning import operations_pb2

from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import RequestOperation
from services.server_ops.power.change import STEPS, Action
from services.server_ops.rpc.operation_message import pack
from services.server_ops.rpc.operation_requests import operation_request
from services.server_ops.rpc.reboots import SHUTDOWN_SECONDS


class PowerServicer(power_pb2_grpc.PowerServiceServicer):
    """Asks for machines to be switched on or off."""

    def __init__(self, request_operation: RequestOperation) -> None:
        self._request_operation = request_operation

    async def ChangePower(
        self, request: power_pb2.ChangePowerRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts a change of power."""
        action = Action(power_pb2.ChangePowerRequest.Action.Name(request.action))
        parameters: dict[str, str] = {"action": action}
        if action is Action.SOFT_OFF:
            parameters["shutdown_seconds"] = str(request.shutdown_seconds or SHUTDOWN_SECONDS)
        return pack(
            await self._request_operation(
                operation_request(
                    Kind.POWER, request.hostname, request.request_id, STEPS, **parameters
                )
            )
        )
