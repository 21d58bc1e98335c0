"""f2h.server_ops.v1.RebootService."""

import re
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import reboot_pb2, reboot_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime.call import current_call, current_caller
from services.runtime.errors import ApiError, invalid
from services.server_ops.reboot.request import Mode, RebootRequest, RequestReboot
from services.server_ops.rpc.operation_message import pack

_MODES = {
    reboot_pb2.RebootServerRequest.MODE_UNSPECIFIED: Mode.HARD,
    reboot_pb2.RebootServerRequest.HARD: Mode.HARD,
    reboot_pb2.RebootServerRequest.POWER_CYCLE: Mode.POWER_CYCLE,
}

IDEMPOTENCY_KEY = "idempotency-key"

_REQUEST_ID = re.compile("[A-Za-z0-9_-]{0,64}", re.ASCII)
"""The rule of the field request_id, for the header that says the same."""


class RebootServicer(reboot_pb2_grpc.RebootServiceServicer):
    """Asks for reboots."""

    def __init__(self, request_reboot: RequestReboot) -> None:
        self._request_reboot = request_reboot

    async def RebootServer(
        self, request: reboot_pb2.RebootServerRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts a reboot."""
        mode = _MODES.get(request.mode)
        if mode is None:
            text = "mode SOFT is not built yet; HARD and POWER_CYCLE are."
            raise ApiError(Reason.NOT_IMPLEMENTED, text)
        caller = current_caller()
        operation = await self._request_reboot(
            RebootRequest(
                hostname=request.hostname,
                mode=mode,
                account=caller.account,
                key_id=caller.principal.subject,
                request_id=_request_id(request.request_id),
            )
        )
        return pack(operation)


def _request_id(field: str) -> str:
    """The request's id, from its field or from the header Idempotency-Key."""
    header = str(current_call().metadata.get(IDEMPOTENCY_KEY, ""))
    if field and header and field != header:
        raise invalid("request_id", "differs from the header Idempotency-Key; give one of them")
    if not _REQUEST_ID.fullmatch(header):
        raise invalid("Idempotency-Key", "must be 1 to 64 letters, digits, '-' and '_'")
    return field or header
