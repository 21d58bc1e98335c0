"""Renews principals at auth over gRPC."""

from typing import Any

import grpc.aio
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import principal_pb2, principal_pb2_grpc
from google.rpc import error_details_pb2, status_pb2

from services.runtime.errors import ApiError
from services.runtime.principal import HEADER

DEADLINE_SECONDS = 2.0

_REFUSALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_STATUS_DETAILS = "grpc-status-details-bin"


class PrincipalClient:
    """Asks auth to renew a principal."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = principal_pb2_grpc.PrincipalServiceStub(channel)

    async def renew(self, header: str) -> str:
        """See services.runtime.standing.Renew."""
        try:
            answer = await self._stub.RenewPrincipal(
                principal_pb2.RenewPrincipalRequest(),
                metadata=((HEADER, header),),
                timeout=DEADLINE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise ApiError(_reason(error), error.details() or "") from None
            raise
        return str(answer.principal)


def _reason(error: grpc.aio.AioRpcError) -> "Reason.ValueType":
    """Why auth refused: the reason in its status."""
    metadata: dict[str, Any] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]
    status = status_pb2.Status.FromString(metadata.get(_STATUS_DETAILS, b""))
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return Reason.Value(info.reason)
    return Reason.PRINCIPAL_INVALID
