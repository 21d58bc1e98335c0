"""f2h.auth.v1.AuditService, asked and told over gRPC."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import audit_pb2, audit_pb2_grpc
from f2h.auth.v1.audit_pb2 import AuditRecord
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from services.auth.audit.recorder import TrailRecorder
from services.auth.rpc.audit import PAGE_BYTES, AuditServicer
from services.auth.store import MIGRATIONS
from services.auth.store.audit import SqlTrail
from services.runtime import server
from services.runtime.access import Audience, Role, rules
from services.runtime.audit import DETAIL_LENGTH, Attempt, Outcome
from services.runtime.audit_client import AuditClient
from services.runtime.call import Caller
from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.paging import encode_token
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import PrincipalVerifier
from tests.unit.serving import (
    SIGNING_KEY,
    Metadata,
    fields_of,
    info_of,
    new_address,
    served,
    signed,
    status_of,
)

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
RULES = rules(audit_pb2)
READ_CALLS = [
    ("ListAuditRecords", audit_pb2.ListAuditRecordsRequest(account="demo")),
    ("GetAuditCheckpoint", audit_pb2.GetAuditCheckpointRequest()),
]
WRITE_CALLS = [
    ("RecordAttempt", audit_pb2.RecordAttemptRequest(method=REBOOT)),
    ("RecordOutcome", audit_pb2.RecordOutcomeRequest(attempt=1, outcome=AuditRecord.ACCEPTED)),
]

Stub = audit_pb2_grpc.AuditServiceStub


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(
    grpc_addr: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.aio.Server]:
    folder: Path = tmp_path_factory.mktemp("audit")
    url = f"sqlite:///{folder / 'auth.db'}"
    migrate(url, MIGRATIONS)

    async def fetch(_digest: bytes, _header: str) -> Policy:
        raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no policy is needed here")

    @asynccontextmanager
    async def build() -> AsyncIterator[grpc.aio.Server]:
        database = Database(url)
        trail = SqlTrail(database, system_clock)
        servicer = AuditServicer(trail, TrailRecorder(trail))
        identify = Identify(
            RULES,
            PrincipalVerifier({1: SIGNING_KEY.public_key()}, system_clock),
            PolicyCache(fetch),
        )
        layers = Layers(report, identify, Admit(RULES), validate, Grant(RULES))
        yield server.build(
            layers, lambda to: audit_pb2_grpc.add_AuditServiceServicer_to_server(servicer, to)
        )
        await database.close()

    with served(build, lambda built: built, grpc_addr) as built:
        yield built


@pytest.fixture
def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


@pytest.fixture
def account() -> str:
    """An account that no other test has."""
    return f"a-{uuid4().hex}"


@pytest.fixture
def customer(account: str) -> Metadata:
    return signed(audience=Audience.CUSTOMER, subject="e" * 16, account=account)


@pytest.fixture
def member(account: str) -> Metadata:
    return signed(audience=Audience.SESSION, subject="d" * 16, account=account, role=Role.MEMBER)


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


def attempt(stub: Stub, who: Metadata, **fields: Any) -> int:
    filled = {
        "method": REBOOT,
        "resource": "ns1.example.net",
        "address": "203.0.113.4",
        "request": "request-1",
        **fields,
    }
    answer = stub.RecordAttempt(audit_pb2.RecordAttemptRequest(**filled), metadata=who)
    return int(answer.sequence)


def conclude(stub: Stub, who: Metadata, sequence: int, **fields: Any) -> None:
    filled = {"outcome": AuditRecord.ACCEPTED, **fields}
    stub.RecordOutcome(audit_pb2.RecordOutcomeRequest(attempt=sequence, **filled), metadata=who)


def listed(stub: Stub, who: Metadata, **fields: Any) -> list[AuditRecord]:
    answer = stub.ListAuditRecords(audit_pb2.ListAuditRecordsRequest(**fields), metadata=who)
    assert answer.next_page_token == ""
    return [*answer.records]


# --- Who may call


@pytest.mark.parametrize(("name", "request_"), READ_CALLS + WRITE_CALLS)
def test_a_call_past_the_edge_is_refused(grpc_stub: Stub, name: str, request_: Any) -> None:
    status = refusal(getattr(grpc_stub, name), request_)
    assert status.code == code_pb2.UNAUTHENTICATED
    assert info_of(status).reason == "PRINCIPAL_INVALID"


@pytest.mark.parametrize(("name", "request_"), READ_CALLS)
def test_a_customers_key_may_not_read_the_trail(grpc_stub: Stub, name: str, request_: Any) -> None:
    key = signed(audience=Audience.CUSTOMER, subject="e" * 16, account="demo")
    status = refusal(getattr(grpc_stub, name), request_, key)
    assert status.code == code_pb2.PERMISSION_DENIED


def test_a_person_sees_the_own_account_only(
    grpc_stub: Stub, customer: Metadata, member: Metadata, account: str
) -> None:
    sequence = attempt(grpc_stub, customer)
    attempt(grpc_stub, signed(audience=Audience.CUSTOMER, subject="e" * 16, account="other"))
    for asked in ("", account):
        records = listed(grpc_stub, member, account=asked)
        assert [each.sequence for each in records] == [sequence]
    for asked in ("other", "-"):
        request = audit_pb2.ListAuditRecordsRequest(account=asked)
        status = refusal(grpc_stub.ListAuditRecords, request, member)
        assert info_of(status).reason == "INVALID_REQUEST"
        assert fields_of(status) == ["account"]


def test_the_checkpoint_is_for_the_noc(
    grpc_stub: Stub, member: Metadata, noc: Metadata, customer: Metadata
) -> None:
    request = audit_pb2.GetAuditCheckpointRequest()
    assert refusal(grpc_stub.GetAuditCheckpoint, request, member).code == (
        code_pb2.PERMISSION_DENIED
    )
    before = grpc_stub.GetAuditCheckpoint(request, metadata=noc)
    attempt(grpc_stub, customer)
    after = grpc_stub.GetAuditCheckpoint(request, metadata=noc)
    assert after.sequence == before.sequence + 1
    assert (len(after.hash), after.hash == before.hash) == (64, False)


# --- Telling


def test_who_did_it_is_the_principal(
    grpc_stub: Stub, customer: Metadata, noc: Metadata, account: str
) -> None:
    before = datetime.now(UTC)
    sequence = attempt(grpc_stub, customer, account="other")
    conclude(grpc_stub, customer, sequence, operation="operations/1")
    [found] = listed(grpc_stub, noc, account=account)
    assert before <= found.time.ToDatetime(UTC) <= datetime.now(UTC)
    found.ClearField("time")
    assert found == AuditRecord(
        sequence=sequence,
        account=account,
        audience=Audience.CUSTOMER,
        subject="e" * 16,
        address="203.0.113.4",
        method=REBOOT,
        resource="ns1.example.net",
        outcome=AuditRecord.ACCEPTED,
        operation="operations/1",
        request="request-1",
    )


def test_the_noc_says_which_account_it_concerns(
    grpc_stub: Stub, noc: Metadata, account: str
) -> None:
    told = attempt(grpc_stub, noc, account=account)
    own = attempt(grpc_stub, noc)
    assert [each.sequence for each in listed(grpc_stub, noc, account=account)] == [told]
    records = grpc_stub.ListAuditRecords(
        audit_pb2.ListAuditRecordsRequest(account="-", page_size=1), metadata=noc
    ).records
    assert [each.sequence for each in records] == [own]


def test_an_outcome_is_told_once_and_by_who_attempted_it(
    grpc_stub: Stub, customer: Metadata, noc: Metadata, member: Metadata
) -> None:
    sequence = attempt(grpc_stub, customer)
    request = audit_pb2.RecordOutcomeRequest(attempt=sequence, outcome=AuditRecord.ACCEPTED)
    for other in (noc, member):
        status = refusal(grpc_stub.RecordOutcome, request, other)
        assert info_of(status).reason == "NOT_FOUND"
    conclude(grpc_stub, customer, sequence, outcome=AuditRecord.REFUSED, reason="SERVER_BUSY")
    status = refusal(grpc_stub.RecordOutcome, request, customer)
    assert info_of(status).reason == "ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("name", "request_", "field"),
    [
        ("RecordAttempt", audit_pb2.RecordAttemptRequest(), "method"),
        ("RecordAttempt", audit_pb2.RecordAttemptRequest(method="m" * 201), "method"),
        (
            "RecordAttempt",
            audit_pb2.RecordAttemptRequest(method="m", resource="r" * 255),
            "resource",
        ),
        ("RecordOutcome", audit_pb2.RecordOutcomeRequest(attempt=1), "outcome"),
        (
            "RecordOutcome",
            audit_pb2.RecordOutcomeRequest(outcome=AuditRecord.ACCEPTED),
            "attempt",
        ),
    ],
)
def test_what_is_no_record_is_refused(
    grpc_stub: Stub, noc: Metadata, name: str, request_: Any, field: str
) -> None:
    assert fields_of(refusal(getattr(grpc_stub, name), request_, noc)) == [field]


async def test_a_service_records_what_its_caller_does(
    grpc_server: grpc.aio.Server, grpc_addr: str, grpc_stub: Stub, noc: Metadata, account: str
) -> None:
    fields: dict[str, Any] = {
        "audience": Audience.CUSTOMER,
        "subject": "e" * 16,
        "account": account,
    }
    caller = Caller(Principal(**fields), signed(**fields)[0][1], None)
    async with grpc.aio.insecure_channel(grpc_addr) as channel:
        client = AuditClient(channel)
        details = {"mode": "HARD"}
        told = Attempt(REBOOT, "ns1.example.net", "", "203.0.113.4", "request-1", details)
        sequence = await client.attempt(caller, told)
        outcome = Outcome(AuditRecord.ACCEPTED, operation="operations/1")
        await client.outcome(caller, sequence, outcome)
    [found] = await asyncio.to_thread(listed, grpc_stub, noc, account=account)
    assert (found.sequence, found.subject, found.operation) == (
        sequence,
        "e" * 16,
        "operations/1",
    )
    assert dict(found.details) == details


def test_a_record_takes_the_longest_details(
    grpc_stub: Stub, customer: Metadata, noc: Metadata, account: str
) -> None:
    details = {f"field_{number}": "é" * DETAIL_LENGTH for number in range(16)}
    request = audit_pb2.RecordAttemptRequest(method=REBOOT, details=details)
    grpc_stub.RecordAttempt(request, metadata=customer)
    [found] = listed(grpc_stub, noc, account=account)
    assert dict(found.details) == details
    for name, text in (("field_0", "a" * (DETAIL_LENGTH + 1)), ("field_0", "\u202e"), ("more", "")):
        spoilt = audit_pb2.RecordAttemptRequest(method=REBOOT, details={**details, name: text})
        assert [
            each.partition("[")[0]
            for each in fields_of(refusal(grpc_stub.RecordAttempt, spoilt, customer))
        ] == ["details"]


# --- Listing


def test_a_page_of_long_records_ends_early_and_leads_on(
    grpc_stub: Stub, customer: Metadata, noc: Metadata, account: str
) -> None:
    details = {f"field_{number}": "é" * DETAIL_LENGTH for number in range(16)}
    each = len(details) * 2 * DETAIL_LENGTH
    request = audit_pb2.RecordAttemptRequest(method=REBOOT, details=details)
    made = [
        grpc_stub.RecordAttempt(request, metadata=customer).sequence
        for _ in range(2 * PAGE_BYTES // each)
    ]
    found: list[int] = []
    asked = audit_pb2.ListAuditRecordsRequest(account=account, page_size=1000)
    while True:
        page = grpc_stub.ListAuditRecords(asked, metadata=noc)
        assert page.records
        assert page.ByteSize() < PAGE_BYTES + 2 * each
        found += [record.sequence for record in page.records]
        asked.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert found == made[::-1]


def test_all_pages_together_are_all_records_newest_first(
    grpc_stub: Stub, customer: Metadata, member: Metadata
) -> None:
    made = [attempt(grpc_stub, customer) for _ in range(7)]
    conclude(grpc_stub, customer, made[3])
    found: list[int] = []
    sizes: list[int] = []
    token = ""
    while True:
        request = audit_pb2.ListAuditRecordsRequest(page_size=3, page_token=token)
        page = grpc_stub.ListAuditRecords(request, metadata=member)
        found += [each.sequence for each in page.records]
        sizes.append(len(page.records))
        token = page.next_page_token
        if not token:
            break
    assert sizes == [3, 3, 1]
    assert found == made[::-1]


def test_filters_are_of_the_request(grpc_stub: Stub, customer: Metadata, member: Metadata) -> None:
    first = attempt(grpc_stub, customer)
    second = attempt(grpc_stub, member, method="/f2h.auth.v1.KeyService/CreateKey", resource="k")
    conclude(grpc_stub, customer, first, outcome=AuditRecord.FAILED, reason="INTERNAL")
    [unfinished] = listed(grpc_stub, member, subject="d" * 16)
    start = unfinished.time
    wanted: list[tuple[dict[str, Any], list[int]]] = [
        ({"subject": "d" * 16}, [second]),
        ({"resource": "ns1.example.net"}, [first]),
        ({"method": "CreateKey"}, [second]),
        ({"method": REBOOT}, [first]),
        ({"outcome": AuditRecord.FAILED}, [first]),
        ({"start_time": start}, [second]),
        ({"end_time": start}, [first]),
        ({}, [second, first]),
    ]
    for fields, sequences in wanted:
        assert [each.sequence for each in listed(grpc_stub, member, **fields)] == sequences, fields


def test_an_account_without_records_has_an_empty_page(grpc_stub: Stub, member: Metadata) -> None:
    assert listed(grpc_stub, member) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"account": ""}, "account"),
        ({"account": "A"}, "account"),
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"outcome": 9}, "outcome"),
        ({"subject": "a\0b"}, "subject"),
        ({"resource": "\0"}, "resource"),
        ({"method": "\0"}, "method"),
        ({"start_time": Timestamp(seconds=2**62)}, "start_time"),
        ({"end_time": Timestamp(seconds=-(2**62))}, "end_time"),
        ({"end_time": Timestamp(seconds=253402300800)}, "end_time"),  # the year 10000
        *(
            ({"page_token": token}, "page_token")
            for token in (
                "x",
                "é",
                "/w==",
                *map(encode_token, ("0", "-1", "1 ", "x", "٣", "9" * 19, "1" * 30)),
            )
        ),
    ],
)
def test_a_wrong_question_is_refused_naming_its_field(
    grpc_stub: Stub, noc: Metadata, fields: dict[str, Any], wrong: str
) -> None:
    request = audit_pb2.ListAuditRecordsRequest(**{"account": "demo", **fields})
    status = refusal(grpc_stub.ListAuditRecords, request, noc)
    assert (status.code, fields_of(status)) == (code_pb2.INVALID_ARGUMENT, [wrong])
