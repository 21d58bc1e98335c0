"""f2h.auth.v1.AccountService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import account_pb2, account_pb2_grpc

from services.auth.accounts.account import Account, Accounts, Kind
from services.auth.accounts.manage import ManageAccounts
from services.runtime import timestamps
from services.runtime.errors import ApiError
from services.runtime.paging import decode_token, encode_token, page_size

_KINDS = {
    account_pb2.Account.KIND_UNSPECIFIED: Kind.CUSTOMER,
    account_pb2.Account.CUSTOMER: Kind.CUSTOMER,
    account_pb2.Account.NOC: Kind.NOC,
}


class AccountServicer(account_pb2_grpc.AccountServiceServicer):
    """Lets the NOC make accounts."""

    def __init__(self, manage: ManageAccounts, accounts: Accounts) -> None:
        self._manage = manage
        self._accounts = accounts

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, _context: Any
    ) -> account_pb2.Account:
        """Makes an account."""
        return _pack(await self._manage.create(request.id, _KINDS[request.kind]))

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, _context: Any
    ) -> account_pb2.Account:
        """An account."""
        account = await self._accounts.get(request.id)
        if account is None:
            raise ApiError(Reason.NOT_FOUND, f"There is no account {request.id}.")
        return _pack(account)

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, _context: Any
    ) -> account_pb2.ListAccountsResponse:
        """A page of the accounts."""
        size = page_size(request.page_size)
        read = await self._accounts.page(decode_token(request.page_token), size + 1)
        page = read[:size]
        return account_pb2.ListAccountsResponse(
            accounts=map(_pack, page),
            next_page_token=encode_token(page[-1].id) if len(read) > size else "",
        )


def _pack(account: Account) -> account_pb2.Account:
    return account_pb2.Account(
        id=account.id,
        kind=account_pb2.Account.Kind.Value(account.kind),
        create_time=timestamps.pack(account.create_time),
    )
