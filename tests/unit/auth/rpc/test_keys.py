import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from services.auth.keys.secret import parse
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.runtime.access import Audience, Role
from services.runtime.database import Database, migrate
from services.runtime.paging import encode_token
from services.runtime.principal import HEADER
from tests.unit.auth.rpc.conftest import ServeAuth
from tests.unit.serving import Metadata, fields_of, info_of, new_address, signed, status_of

CALLS = [
    ("CreateKey", key_pb2.CreateKeyRequest(account="demo", capabilities=["antihack.us_unblock"])),
    ("ListKeys", key_pb2.ListKeysRequest(account="demo")),
    ("GetKey", key_pb2.GetKeyRequest(id="0" * 16)),
    ("RevokeKey", key_pb2.RevokeKeyRequest(id="0" * 16)),
    ("UpdateKey", key_pb2.UpdateKeyRequest(id="0" * 16, label="new")),
    ("RotateKey", key_pb2.RotateKeyRequest(id="0" * 16)),
]


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[key_pb2_grpc.KeyServiceStub]:
    return key_pb2_grpc.KeyServiceStub


@pytest.fixture
def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


@pytest.fixture
def customer() -> Metadata:
    return signed(audience=Audience.CUSTOMER, subject="e" * 16, account="demo")


def form(**changes: Any) -> key_pb2.CreateKeyRequest:
    filled = {
        "account": "demo",
        "label": "CI, monitoring",
        "servers": ["NS1.example.net"],
        "capabilities": ["server.reboot"],
        "cidrs": ["203.0.113.4/32"],
    }
    return key_pb2.CreateKeyRequest(**{**filled, **changes})


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


# --- Who may call


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_a_call_past_the_edge_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, name: str, request_: Any
) -> None:
    status = refusal(getattr(grpc_stub, name), request_)
    assert status.code == code_pb2.UNAUTHENTICATED
    assert info_of(status).reason == "PRINCIPAL_INVALID"


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_a_customers_key_may_not_touch_keys(
    grpc_stub: key_pb2_grpc.KeyServiceStub, name: str, request_: Any, customer: Metadata
) -> None:
    status = refusal(getattr(grpc_stub, name), request_, customer)
    assert status.code == code_pb2.PERMISSION_DENIED
    assert info_of(status).reason == "AUDIENCE_NOT_ALLOWED"


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_an_old_principal_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, name: str, request_: Any
) -> None:
    old = signed(audience=Audience.NOC, expire_seconds=1)
    assert info_of(refusal(getattr(grpc_stub, name), request_, old)).reason == "PRINCIPAL_INVALID"


def test_a_forged_principal_is_refused(grpc_stub: key_pb2_grpc.KeyServiceStub) -> None:
    for forged in ("", "e30=", "ÿ" * 8, "A" * 4000):
        metadata = ((HEADER, forged.encode("ascii", "replace").decode()),)
        status = refusal(grpc_stub.GetKey, key_pb2.GetKeyRequest(id="0" * 16), metadata)
        assert info_of(status).reason == "PRINCIPAL_INVALID"


# --- Making


def test_a_new_key_is_shown_with_its_secret_and_found_without(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    expire_time = Timestamp()
    expire_time.FromDatetime(end)
    answer = grpc_stub.CreateKey(form(expire_time=expire_time), metadata=noc)
    text = parse(answer.secret)
    assert text is not None
    key = answer.key
    assert key.id == text.id
    assert (key.account, key.label, key.state) == ("demo", "CI, monitoring", key_pb2.ApiKey.ACTIVE)
    assert [*key.servers] == ["ns1.example.net"]
    assert [*key.capabilities] == ["server.reboot"]
    assert [*key.cidrs] == ["203.0.113.4/32"]
    assert key.expire_time == expire_time
    assert not key.HasField("revoke_time")
    found = grpc_stub.GetKey(key_pb2.GetKeyRequest(id=key.id), metadata=noc)
    assert found == key
    assert text.secret not in str(found)


def test_a_key_without_an_end_has_none(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    assert not grpc_stub.CreateKey(form(), metadata=noc).key.HasField("expire_time")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"account": ""}, {"account"}),
        ({"account": "", "servers": []}, {"account", "servers"}),
        ({"account": "a" * 65}, {"account"}),
        ({"label": "x" * 101}, {"label"}),
        ({"capabilities": []}, {"capabilities"}),
        ({"capabilities": ["server.explode"]}, {"capabilities"}),
        ({"capabilities": ["server.reboot"] * 2}, {"capabilities"}),
        ({"servers": []}, {"servers"}),
        ({"servers": ["ns9.example.net"]}, {"servers[0]"}),
        ({"servers": ["ns1.example.net", "not a name"]}, {"servers[1]"}),
        ({"servers": [f"ns{number}.example.net" for number in range(1001)]}, {"servers"}),
        ({"cidrs": ["203.0.113.4/32", "203.0.113.4/24"]}, {"cidrs[1]"}),
        ({"cidrs": ["203.0.113.4"]}, {"cidrs[0]"}),
        ({"expire_time": Timestamp(seconds=1)}, {"expire_time"}),
        ({"expire_time": Timestamp(seconds=253402300800)}, {"expire_time"}),  # the year 10000
        ({"expire_time": Timestamp(seconds=2**62)}, {"expire_time"}),
        ({"expire_time": Timestamp(seconds=2**32, nanos=-1)}, {"expire_time"}),
    ],
)
def test_a_wrong_form_is_refused_naming_its_fields(
    grpc_stub: key_pb2_grpc.KeyServiceStub,
    noc: Metadata,
    changes: dict[str, Any],
    fields: set[str],
) -> None:
    status = refusal(grpc_stub.CreateKey, form(**changes), noc)
    assert (status.code, info_of(status).reason) == (code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert fields <= set(fields_of(status))


@pytest.mark.parametrize("cidr", ["::ffff:203.0.113.0/120", "::ffff:0:0/96"])
def test_a_network_of_mapped_addresses_is_refused_or_kept_as_what_it_maps(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, cidr: str
) -> None:
    """Callers are known by their IPv4 address: a key with such a network could never be used."""
    try:
        key = grpc_stub.CreateKey(form(cidrs=[cidr]), metadata=noc).key
    except grpc.RpcError as error:
        assert fields_of(status_of(error)) == ["cidrs[0]"]
    else:
        assert not any(":" in each for each in key.cidrs)


# --- Listing


def test_all_pages_together_are_all_keys_of_the_account_newest_first(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    account = "paged"
    made = [
        grpc_stub.CreateKey(
            form(account=account, servers=[], capabilities=["antihack.us_unblock"]), metadata=noc
        ).key
        for _ in range(7)
    ]
    found: list[key_pb2.ApiKey] = []
    sizes: list[int] = []
    token = ""
    while True:
        request = key_pb2.ListKeysRequest(account=account, page_size=3, page_token=token)
        page = grpc_stub.ListKeys(request, metadata=noc)
        found += page.keys
        sizes.append(len(page.keys))
        token = page.next_page_token
        if not token:
            break
    assert sizes == [3, 3, 1]
    assert found == made[::-1]


def test_a_last_page_that_is_full_says_that_it_is_the_last(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    request = form(account="full", servers=[], capabilities=["antihack.us_unblock"])
    for _ in range(2):
        grpc_stub.CreateKey(request, metadata=noc)
    page = grpc_stub.ListKeys(key_pb2.ListKeysRequest(account="full", page_size=2), metadata=noc)
    assert (len(page.keys), page.next_page_token) == (2, "")


def test_an_account_without_keys_has_an_empty_page(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    page = grpc_stub.ListKeys(key_pb2.ListKeysRequest(account="nobody"), metadata=noc)
    assert page == key_pb2.ListKeysResponse()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (key_pb2.ListKeysRequest(), "account"),
        (key_pb2.ListKeysRequest(account="demo", page_size=-1), "page_size"),
        (key_pb2.ListKeysRequest(account="demo", page_size=1001), "page_size"),
        *(
            (key_pb2.ListKeysRequest(account="demo", page_token=token), "page_token")
            for token in (
                "x",
                "é",
                "=",
                "bm90IGEgdGltZQ==",
                "/w==",
            )
        ),
    ],
)
def test_a_wrong_question_is_refused_naming_its_field(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, request_: Any, field: str
) -> None:
    status = refusal(grpc_stub.ListKeys, request_, noc)
    assert status.code == code_pb2.INVALID_ARGUMENT
    assert fields_of(status) == [field]


# --- What a database cannot keep


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("CreateKey", form(label="a\0b")),
        ("CreateKey", form(account="a\0b", servers=[], capabilities=["antihack.us_unblock"])),
        ("ListKeys", key_pb2.ListKeysRequest(account="a\0b")),
        *(
            (
                "ListKeys",
                key_pb2.ListKeysRequest(account="demo", page_token=encode_token(position)),
            )
            for position in (
                "2026-01-01T00:00:00+00:00 \0",
                "2026-01-01T00:00:00+00:00",
                "2026-01-01",
                "2026-13-45T00:00:00+00:00 0000000000000000",
                "2026-01-01T24:00:60+00:00 0000000000000000",
                "20٢٦-01-01T00:00:00+00:00 0000000000000000",
                "0001-01-01T00:00:00+23:59 0000000000000000",
                "9999-12-31T23:59:59-23:59 0000000000000000",
            )
        ),
    ],
)
def test_what_a_database_cannot_keep_or_compare_is_no_fault_of_ours(
    database_url: str, serve_auth: ServeAuth, noc: Metadata, name: str, request_: Any
) -> None:
    migrate(database_url, MIGRATIONS)
    address = new_address()
    with serve_auth(database_url, address), grpc.insecure_channel(address) as channel:
        try:
            getattr(key_pb2_grpc.KeyServiceStub(channel), name)(request_, metadata=noc)
        except grpc.RpcError as error:
            assert info_of(status_of(error)).reason == "INVALID_REQUEST"


# --- Revoking


def test_a_revoked_key_says_so_and_revoking_again_changes_nothing(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    key = grpc_stub.CreateKey(form(), metadata=noc).key
    first = grpc_stub.RevokeKey(key_pb2.RevokeKeyRequest(id=key.id), metadata=noc)
    assert first.state == key_pb2.ApiKey.REVOKED
    assert first.HasField("revoke_time")
    again = grpc_stub.RevokeKey(key_pb2.RevokeKeyRequest(id=key.id), metadata=noc)
    assert again == first
    assert grpc_stub.GetKey(key_pb2.GetKeyRequest(id=key.id), metadata=noc) == first


@pytest.mark.parametrize("name", ["GetKey", "RevokeKey"])
def test_a_key_that_is_not_there_is_not_found(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, name: str
) -> None:
    request = key_pb2.GetKeyRequest if name == "GetKey" else key_pb2.RevokeKeyRequest
    status = refusal(getattr(grpc_stub, name), request(id="0" * 16), noc)
    assert (status.code, info_of(status).reason) == (code_pb2.NOT_FOUND, "NOT_FOUND")


@pytest.mark.parametrize("key_id", ["", "0" * 15, "0" * 17, "A" * 16, "0" * 15 + "\n"])
@pytest.mark.parametrize("name", ["GetKey", "RevokeKey"])
def test_what_is_no_key_id_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, name: str, key_id: str
) -> None:
    request = key_pb2.GetKeyRequest if name == "GetKey" else key_pb2.RevokeKeyRequest
    assert fields_of(refusal(getattr(grpc_stub, name), request(id=key_id), noc)) == ["id"]


# --- People, and the life of a key


def person(role: "Role.ValueType" = Role.MEMBER, account: str = "demo") -> Metadata:
    return signed(
        audience=Audience.SESSION, subject="d" * 16, account=account, role=role, session="c" * 16
    )


def test_a_person_makes_keys_for_the_own_account_only(
    grpc_stub: key_pb2_grpc.KeyServiceStub,
) -> None:
    made = grpc_stub.CreateKey(form(account=""), metadata=person())
    assert made.key.account == "demo"
    status = refusal(grpc_stub.CreateKey, form(account="other"), person())
    assert fields_of(status) == ["account"]


def test_another_accounts_key_looks_as_one_that_is_not_there(
    grpc_stub: key_pb2_grpc.KeyServiceStub,
) -> None:
    key = grpc_stub.CreateKey(form(account=""), metadata=person()).key
    stranger = person(account="other")
    for rpc, request in (
        (grpc_stub.GetKey, key_pb2.GetKeyRequest),
        (grpc_stub.RevokeKey, key_pb2.RevokeKeyRequest),
        (grpc_stub.RotateKey, key_pb2.RotateKeyRequest),
        (grpc_stub.UpdateKey, partial(key_pb2.UpdateKeyRequest, label="mine")),
    ):
        known = refusal(rpc, request(id=key.id), stranger)
        unknown = refusal(rpc, request(id="0" * 16), stranger)
        assert known.code == unknown.code == code_pb2.NOT_FOUND
        assert known.message.replace(key.id, "") == unknown.message.replace("0" * 16, "")
    assert grpc_stub.GetKey(key_pb2.GetKeyRequest(id=key.id), metadata=person()).label != "mine"


def test_a_mask_says_what_becomes_empty(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata
) -> None:
    key = grpc_stub.CreateKey(form(), metadata=noc).key
    change = key_pb2.UpdateKeyRequest(id=key.id, update_mask=FieldMask(paths=["cidrs"]))
    changed = grpc_stub.UpdateKey(change, metadata=noc)
    assert ([*changed.cidrs], changed.label) == ([], key.label)
    assert key_pb2.ApiKey.NO_CIDR in changed.warnings
    for wrong, field in (
        (key_pb2.UpdateKeyRequest(id=key.id), "update_mask"),
        (
            key_pb2.UpdateKeyRequest(id=key.id, label="x", update_mask=FieldMask(paths=["cidrs"])),
            "label",
        ),
    ):
        assert fields_of(refusal(grpc_stub.UpdateKey, wrong, noc)) == [field]


def test_a_label_from_before_its_rule_is_shown_and_hinders_nothing(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, auth_database: str
) -> None:
    key = grpc_stub.CreateKey(form(), metadata=noc).key
    asyncio.run(relabel(auth_database, key.id, "old \u202elabel"))
    change = key_pb2.UpdateKeyRequest(id=key.id, update_mask=FieldMask(paths=["cidrs"]))
    assert grpc_stub.UpdateKey(change, metadata=noc).label == "old \u202elabel"
    new = grpc_stub.RotateKey(key_pb2.RotateKeyRequest(id=key.id), metadata=noc).key
    assert new.label == "old \u202elabel"
    again = key_pb2.UpdateKeyRequest(id=new.id, label=new.label)
    assert fields_of(refusal(grpc_stub.UpdateKey, again, noc)) == ["label"]


async def relabel(database_url: str, key_id: str, label: str) -> None:
    """What no call does any more."""
    database = Database(database_url)
    await SqlKeys(database).change(key_id, lambda key: replace(key, label=label))
    await database.close()


@pytest.mark.parametrize(
    ("overlap", "hours"),
    [("NOW", 0), ("OVERLAP_UNSPECIFIED", 0), ("ONE_HOUR", 1), ("ONE_DAY", 24), ("SEVEN_DAYS", 48)],
)
def test_an_overlap_never_outlasts_the_old_key(
    grpc_stub: key_pb2_grpc.KeyServiceStub, noc: Metadata, overlap: str, hours: int
) -> None:
    end = Timestamp()
    end.FromDatetime(datetime.now(UTC) + timedelta(hours=48))
    old = grpc_stub.CreateKey(form(expire_time=end), metadata=noc).key
    request = key_pb2.RotateKeyRequest(
        id=old.id, overlap=key_pb2.RotateKeyRequest.Overlap.Value(overlap)
    )
    new = grpc_stub.RotateKey(request, metadata=noc)
    assert parse(new.secret) is not None
    assert (new.key.replaces, new.key.servers) == (old.id, old.servers)
    after = grpc_stub.GetKey(key_pb2.GetKeyRequest(id=old.id), metadata=noc)
    assert after.replaced_by == new.key.id
    if not hours:
        assert after.state == key_pb2.ApiKey.REVOKED
    else:
        assert after.state == key_pb2.ApiKey.ACTIVE
        left = after.expire_time.ToDatetime(UTC) - datetime.now(UTC)
        assert timedelta(hours=hours, minutes=-1) < left <= timedelta(hours=hours)
    again = refusal(grpc_stub.RotateKey, request, noc)
    assert info_of(again).reason == "KEY_NOT_ACTIVE"
