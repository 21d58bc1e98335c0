"""f2h.auth.v1.PrincipalService."""

from typing import Any

from f2h.auth.v1 import principal_pb2, principal_pb2_grpc

from services.auth.accounts.name import PrincipalNames
from services.auth.check.check import Check
from services.runtime.call import current_caller


class PrincipalServicer(principal_pb2_grpc.PrincipalServiceServicer):
    """Tells who calls."""

    def __init__(self, check: Check, names: PrincipalNames) -> None:
        self._check = check
        self._names = names

    async def ListPrincipalNames(
        self, request: principal_pb2.ListPrincipalNamesRequest, _context: Any
    ) -> principal_pb2.ListPrincipalNamesResponse:
        """What keys and people of the caller's account are called."""
        found = await self._names.of(current_caller().account, request.ids)
        return principal_pb2.ListPrincipalNamesResponse(
            names=[
                principal_pb2.PrincipalName(id=each.id, audience=each.audience, name=each.name)
                for each in found
            ]
        )

    async def RenewPrincipal(
        self, _request: principal_pb2.RenewPrincipalRequest, _context: Any
    ) -> principal_pb2.RenewPrincipalResponse:
        """The principal of the call, renewed, for services whose calls go on."""
        caller = current_caller()
        renewed = await self._check.renew(caller.principal, caller.header)
        return principal_pb2.RenewPrincipalResponse(principal=renewed)
