from typing import Any

import grpc
import pytest
from f2h.auth.v1 import account_pb2, account_pb2_grpc

from services.runtime.access import Audience, Role
from tests.unit.serving import Metadata, fields_of, info_of, signed, status_of

Stub = account_pb2_grpc.AccountServiceStub

CALLS = [
    ("CreateAccount", account_pb2.CreateAccountRequest(id="never")),
    ("GetAccount", account_pb2.GetAccountRequest(id="demo")),
    ("ListAccounts", account_pb2.ListAccountsRequest()),
]


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture
def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_only_the_noc_sees_accounts(grpc_stub: Stub, name: str, request_: Any) -> None:
    people = signed(
        audience=Audience.SESSION, subject="e" * 16, account="demo", role=Role.OWNER, session="1"
    )
    rpc = getattr(grpc_stub, name)
    assert info_of(refusal(rpc, request_)).reason == "PRINCIPAL_INVALID"
    assert info_of(refusal(rpc, request_, people)).reason == "AUDIENCE_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (account_pb2.Account.KIND_UNSPECIFIED, account_pb2.Account.CUSTOMER),
        (account_pb2.Account.CUSTOMER, account_pb2.Account.CUSTOMER),
        (account_pb2.Account.NOC, account_pb2.Account.NOC),
    ],
)
def test_an_account_is_made_and_found(grpc_stub: Stub, noc: Metadata, kind: Any, made: Any) -> None:
    name = f"made-{kind}"
    form = account_pb2.CreateAccountRequest(id=name, kind=kind)
    account = grpc_stub.CreateAccount(form, metadata=noc)
    assert (account.id, account.kind) == (name, made)
    assert account.HasField("create_time")
    assert grpc_stub.GetAccount(account_pb2.GetAccountRequest(id=name), metadata=noc) == account
    status = refusal(grpc_stub.CreateAccount, form, noc)
    assert info_of(status).reason == "ALREADY_EXISTS"
    assert info_of(status).metadata["resource"] == name


@pytest.mark.parametrize("name", ["", "-a", "Acme", "a b", "a" * 64, "a\n", "é"])
def test_what_is_no_name_is_refused(grpc_stub: Stub, noc: Metadata, name: str) -> None:
    form = account_pb2.CreateAccountRequest(id=name)
    assert fields_of(refusal(grpc_stub.CreateAccount, form, noc)) == ["id"]


def test_an_unknown_account_is_not_found(grpc_stub: Stub, noc: Metadata) -> None:
    status = refusal(grpc_stub.GetAccount, account_pb2.GetAccountRequest(id="nobody"), noc)
    assert info_of(status).reason == "NOT_FOUND"


def test_pages_have_every_account_once(grpc_stub: Stub, noc: Metadata) -> None:
    whole = grpc_stub.ListAccounts(account_pb2.ListAccountsRequest(page_size=1000), metadata=noc)
    assert whole.next_page_token == ""
    names = [each.id for each in whole.accounts]
    assert names == sorted(names)
    assert {"demo", "other", "paged", "full"} <= set(names)
    found: list[str] = []
    token = ""
    while True:
        request = account_pb2.ListAccountsRequest(page_size=1, page_token=token)
        page = grpc_stub.ListAccounts(request, metadata=noc)
        found += [each.id for each in page.accounts]
        token = page.next_page_token
        if not token:
            break
    assert found == names


@pytest.mark.parametrize("token", ["?", "AA==", "/w=="])
def test_a_made_up_page_token_is_refused(grpc_stub: Stub, noc: Metadata, token: str) -> None:
    request = account_pb2.ListAccountsRequest(page_token=token)
    assert fields_of(refusal(grpc_stub.ListAccounts, request, noc)) == ["page_token"]
