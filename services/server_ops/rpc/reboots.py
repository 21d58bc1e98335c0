"""f2h.server_ops.v1.RebootService."""

from typing import Any

from f2h.server_ops.v1 import reboot_pb2, reboot_pb2_grpc
from google.longrunning import operations_pb2

from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import RequestOperation
from services.server_ops.reboot.workflow import SOFT_STEPS, STEPS, Mode
from services.server_ops.rpc.operation_message import pack
from services.server_ops.rpc.operation_requests import operation_request

_MODES = {
    reboot_pb2.RebootServerRequest.MODE_UNSPECIFIED: Mode.HARD,
    reboot_pb2.RebootServerRequest.SOFT: Mode.SOFT,
    reboot_pb2.RebootServerRequest.HARD: Mode.HARD,
    reboot_pb2.RebootServerRequest.POWER_CYCLE: Mode.POWER_CYCLE,
}

SHUTDOWN_SECONDS = 300


class RebootServicer(reboot_pb2_grpc.RebootServiceServicer):
    """Asks for reboots."""

    def __init__(self, request_operation: RequestOperation) -> None:
        self._request_operation = request_operation

    async def RebootServer(
        self, request: reboot_pb2.RebootServerRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts a reboot."""
        mode = _MODES[request.mode]
        parameters: dict[str, str] = {"mode": mode}
        if mode is Mode.SOFT:
            parameters["shutdown_seconds"] = str(request.shutdown_seconds or SHUTDOWN_SECONDS)
            parameters["fallback"] = Mode.HARD if request.hard_if_not_shut_down else ""
        steps = SOFT_STEPS if mode is Mode.SOFT else STEPS
        return pack(
            await self._request_operation(
                operation_request(
                    Kind.REBOOT, request.hostname, request.request_id, steps, **parameters
                )
            )
        )
