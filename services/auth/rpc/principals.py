"""f2h.auth.v1.PrincipalService."""

from typing import Any

from f2h.auth.v1 import principal_pb2, principal_pb2_grpc

from services.auth.check.check import Check
from services.runtime.call import current_caller


class PrincipalServicer(principal_pb2_grpc.PrincipalServiceServicer):
    """Renews principals for services whose calls go on."""

    def __init__(self, check: Check) -> None:
        self._check = check

    async def RenewPrincipal(
        self, _request: principal_pb2.RenewPrincipalRequest, _context: Any
    ) -> principal_pb2.RenewPrincipalResponse:
        """The principal of the call, renewed."""
        caller = current_caller()
        renewed = await self._check.renew(caller.principal, caller.header)
        return principal_pb2.RenewPrincipalResponse(principal=renewed)
