import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import key_pb2, user_pb2
from f2h.auth.v1.audit_pb2 import AuditRecord
from f2h.security.v1 import antihack_pb2
from f2h.server_ops.v1 import reboot_pb2, reboot_pb2_grpc, rescue_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from sqlalchemy.exc import OperationalError

from services.runtime import server
from services.runtime.access import Audience, Role, Rule, rules
from services.runtime.audit import Attempt, Audit, Outcome
from services.runtime.call import Call, Caller, set_call
from services.runtime.errors import ApiError
from services.runtime.interceptors import Handler, Layers, report
from tests.unit.serving import new_address

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
CREATE_KEY = "/f2h.auth.v1.KeyService/CreateKey"
REVOKE_KEY = "/f2h.auth.v1.KeyService/RevokeKey"
UNBAN = "/f2h.security.v1.AntihackService/UnbanAddress"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVAxNpnzyQ2sV3sUTlqJ0wDAyRK1+MFe+MmGSvN9RRQ me"
RULES = {**rules(key_pb2), **rules(reboot_pb2), **rules(user_pb2)}
REQUEST = reboot_pb2.RebootServerRequest(hostname="ns1.example.net")

ACCEPTED = Outcome(AuditRecord.ACCEPTED)


class Kept:
    """A trail in memory, which can be told to fail or to wait."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.outcomes: dict[int, Outcome] = {}
        self.callers: list[Caller] = []
        self.attempt_error: Exception | None = None
        self.outcome_error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        self.asked.set()
        await self.open.wait()
        if self.attempt_error is not None:
            raise self.attempt_error
        self.callers.append(caller)
        self.attempts.append(attempt)
        return len(self.attempts)

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        self.asked.set()
        await self.open.wait()
        if self.outcome_error is not None:
            raise self.outcome_error
        self.callers.append(caller)
        self.outcomes[attempt] = outcome


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def audit(kept: Kept) -> Audit:
    return Audit(RULES, kept)


def caller(**fields: Any) -> Caller:
    who = {"audience": Audience.CUSTOMER, "subject": "e" * 16, "account": "demo", **fields}
    return Caller(Principal(**who), "header", None)


@pytest.fixture(autouse=True)
async def called() -> None:
    called_by(caller())


def called_by(who: Caller) -> None:
    metadata = {"x-f2h-client": "203.0.113.4", "x-request-id": "request-1"}
    set_call(Call(who, metadata))


Behaviour = Callable[[], object]


def does(behaviour: Behaviour) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handler(_request: Any, _context: Any) -> Any:
        return behaviour()

    return handler


def fails(error: BaseException) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handler(_request: Any, _context: Any) -> Any:
        raise error

    return handler


async def call(audit: Audit, handler: Any, path: str = REBOOT, request: Any = REQUEST) -> Any:
    # What the layers get as context is no matter of this one.
    context: Any = None
    return await audit(path, handler)(request, context)


# --- What is recorded


async def test_an_attempt_is_recorded_before_it_is_done(audit: Audit, kept: Kept) -> None:
    seen: list[Attempt] = []

    def handler() -> Any:
        seen.extend(kept.attempts)
        assert not kept.outcomes
        return operations_pb2.Operation(name="operations/1")

    answer = await call(audit, does(handler))
    assert answer.name == "operations/1"
    assert seen == [Attempt(REBOOT, "ns1.example.net", "", "203.0.113.4", "request-1")]
    assert kept.outcomes == {1: replace(ACCEPTED, operation="operations/1")}
    assert {each.header for each in kept.callers} == {"header"}


@pytest.mark.parametrize(
    ("who", "account"),
    [
        (caller(), ""),
        (caller(audience=Audience.SESSION), ""),
        (caller(audience=Audience.NOC, account=""), "demo"),
        (caller(audience=Audience.STAFF, account=""), "demo"),
    ],
)
async def test_the_account_is_told_for_those_who_act_for_none(
    audit: Audit, kept: Kept, who: Caller, account: str
) -> None:
    called_by(who)
    request = key_pb2.CreateKeyRequest(account="demo")
    await call(audit, does(empty_pb2.Empty), CREATE_KEY, request)
    assert kept.attempts[0].account == account


@pytest.mark.parametrize(
    ("path", "request_", "answer", "resources"),
    [
        (REBOOT, REQUEST, empty_pb2.Empty(), ("ns1.example.net", "")),
        (
            REVOKE_KEY,
            key_pb2.RevokeKeyRequest(id="a" * 16),
            key_pb2.ApiKey(id="a" * 16),
            ("a" * 16, ""),
        ),
        (
            CREATE_KEY,
            key_pb2.CreateKeyRequest(label="id"),
            key_pb2.CreateKeyResponse(key=key_pb2.ApiKey(id="b" * 16), secret="s"),
            ("", "b" * 16),
        ),
        (
            "/f2h.auth.v1.UserService/CreateUser",
            user_pb2.CreateUserRequest(account="demo"),
            user_pb2.CreateUserResponse(user=user_pb2.User(id="c" * 16), password="p"),
            ("", "c" * 16),
        ),
        (CREATE_KEY, key_pb2.CreateKeyRequest(), key_pb2.ApiKey(id="d" * 16), ("", "d" * 16)),
        (CREATE_KEY, key_pb2.CreateKeyRequest(), empty_pb2.Empty(), ("", "")),
    ],
)
async def test_the_resource_is_what_the_request_names_or_what_was_made(
    audit: Audit,
    kept: Kept,
    path: str,
    request_: Any,
    answer: Any,
    resources: tuple[str, str],
) -> None:
    await call(audit, does(lambda: answer), path, request_)
    assert (kept.attempts[0].resource, kept.outcomes[1].resource) == resources


async def recorded(kept: Kept, path: str, request: Any) -> dict[str, str]:
    """What is written down of a request besides its resource."""
    await call(
        Audit(rules(antihack_pb2, key_pb2, rescue_pb2, user_pb2), kept), does(object), path, request
    )
    return {**kept.attempts[-1].details}


async def test_what_the_contract_says_is_recorded_of_a_request(kept: Kept) -> None:
    unban = antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip="192.0.2.66")
    assert await recorded(kept, UNBAN, unban) == {"ip": "192.0.2.66"}
    unban.jail = "sshd-203.0.113.9"
    assert await recorded(kept, UNBAN, unban) == {"ip": "192.0.2.66", "jail": "sshd-203.0.113.9"}
    change = user_pb2.UpdateUserRequest(id="a" * 16, role=Role.MEMBER, disabled=False)
    path = "/f2h.auth.v1.UserService/UpdateUser"
    assert await recorded(kept, path, change) == {"role": "MEMBER", "disabled": "false"}


async def test_what_it_does_not_say_is_recorded_of_no_request(kept: Kept) -> None:
    secret = user_pb2.CreateUserRequest(
        account="demo", email="a@example.net", role=Role.OWNER, password="correct horse battery"
    )
    path = "/f2h.auth.v1.UserService/CreateUser"
    assert await recorded(kept, path, secret) == {"email": "a@example.net", "role": "OWNER"}
    ssh = rescue_pb2.EnterRescueRequest(
        hostname="ns1.example.net", ssh_keys=[SSH_KEY], image="rescue", request_id="r"
    )
    path = "/f2h.server_ops.v1.RescueService/EnterRescue"
    assert await recorded(kept, path, ssh) == {"image": "rescue"}


async def test_nothing_is_recorded_of_a_request_that_breaks_a_rule(kept: Kept) -> None:
    slip = antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip="my password")
    assert await recorded(kept, UNBAN, slip) == {}
    assert kept.attempts[0].resource == "ns1.example.net"


async def test_a_long_list_is_cut_and_says_so(kept: Kept) -> None:
    many = key_pb2.CreateKeyRequest(
        label="nightly",
        capabilities=["server.reboot", "server.power"],
        servers=[f"ns{number}.example.net" for number in range(1000)],
    )
    details = await recorded(kept, CREATE_KEY, many)
    assert details["label"] == "nightly"
    assert details["capabilities"] == "server.reboot, server.power"
    assert details["servers"].startswith("ns0.example.net, ns1.example.net, ")
    assert (len(details["servers"]), details["servers"][-1]) == (254, "…")


async def test_what_is_too_long_is_cut(audit: Audit, kept: Kept) -> None:
    metadata = {"x-f2h-client": "1" * 1000, "x-request-id": "é" * 1000}
    set_call(Call(caller(audience=Audience.NOC, account=""), metadata))
    request = key_pb2.RevokeKeyRequest(id="é" * 1_000_000)
    await call(audit, does(empty_pb2.Empty), REVOKE_KEY, request)
    called_by(caller(audience=Audience.NOC, account=""))
    await call(
        audit,
        does(lambda: operations_pb2.Operation(name="o" * 1000)),
        CREATE_KEY,
        key_pb2.CreateKeyRequest(account="a" * 1000),
    )
    assert kept.attempts[0] == Attempt(REVOKE_KEY, "é" * 254, "", "1" * 64, "é" * 128)
    assert kept.attempts[1].account == "a" * 63
    assert kept.outcomes[2].operation == "o" * 64


@pytest.mark.parametrize(
    ("rule", "audited"),
    [
        *(
            (Rule(frozenset({each}), "", ""), True)
            for each in (Audience.CUSTOMER, Audience.SESSION, Audience.NOC, Audience.STAFF)
        ),
        (Rule(frozenset({Audience.CUSTOMER}), "", "", mutates=False), False),
        *(
            (Rule(frozenset({each}), "", ""), False)
            for each in (Audience.PUBLIC, Audience.SERVICE, Audience.FORWARDED)
        ),
    ],
)
async def test_mutations_by_those_who_come_through_the_edge_are_recorded(
    kept: Kept, rule: Rule, audited: bool
) -> None:
    await call(Audit({REBOOT: rule}, kept), does(empty_pb2.Empty))
    assert len(kept.attempts) == audited


async def test_an_rpc_that_writes_its_own_records_is_left_alone(kept: Kept) -> None:
    audit = Audit(RULES, kept, exempt=frozenset({REBOOT}))
    await call(audit, does(empty_pb2.Empty))
    assert kept.attempts == []


# --- What came of it


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (ApiError(Reason.CAPABILITY_MISSING, ""), AuditRecord.REFUSED, "CAPABILITY_MISSING"),
        (ApiError(Reason.INVALID_REQUEST, ""), AuditRecord.REFUSED, "INVALID_REQUEST"),
        (ApiError(Reason.SERVER_BUSY, ""), AuditRecord.REFUSED, "SERVER_BUSY"),
        (ApiError(Reason.NOT_IMPLEMENTED, ""), AuditRecord.REFUSED, "NOT_IMPLEMENTED"),
        (ApiError(Reason.INTERNAL, ""), AuditRecord.FAILED, "INTERNAL"),
        (ApiError(Reason.BMC_UNREACHABLE, ""), AuditRecord.FAILED, "BMC_UNREACHABLE"),
        (ApiError(Reason.OUTCOME_UNKNOWN, ""), AuditRecord.FAILED, "OUTCOME_UNKNOWN"),
        (
            OperationalError("", {}, Exception()),
            AuditRecord.FAILED,
            "DEPENDENCY_UNAVAILABLE",
        ),
        (
            grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "", ""
            ),
            AuditRecord.FAILED,
            "DEPENDENCY_UNAVAILABLE",
        ),
        (RuntimeError("a bug"), AuditRecord.FAILED, "INTERNAL"),
        (asyncio.CancelledError(), AuditRecord.FAILED, "DEADLINE_EXCEEDED"),
    ],
)
async def test_a_refusal_is_told_from_a_failure(
    audit: Audit,
    kept: Kept,
    error: BaseException,
    outcome: "AuditRecord.Outcome.ValueType",
    reason: str,
) -> None:
    with pytest.raises(type(error)):
        await call(audit, fails(error))
    assert kept.outcomes == {1: Outcome(outcome, reason)}


async def test_an_answer_stands_when_its_outcome_is_not_recorded(audit: Audit, kept: Kept) -> None:
    kept.outcome_error = RuntimeError("gone")
    assert await call(audit, does(lambda: REQUEST)) == REQUEST
    with pytest.raises(KeyError):
        await call(audit, fails(KeyError("the first one")))


# --- No record, no action


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("gone"),
        TimeoutError(),
        OperationalError("", {}, Exception()),
        ApiError(Reason.PRINCIPAL_INVALID, "of the other service"),
    ],
)
async def test_what_cannot_be_recorded_is_not_done(
    audit: Audit, kept: Kept, error: Exception
) -> None:
    kept.attempt_error = error
    done: list[int] = []
    with pytest.raises(ApiError) as refused:
        await call(audit, does(lambda: done.append(1)))
    assert refused.value.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert refused.value.retry_after_seconds == 1
    assert "cannot be recorded" in refused.value.message
    assert done == []
    assert kept.outcomes == {}


# --- A client that goes away


async def test_a_client_that_goes_away_while_it_is_recorded_has_nothing_done(
    audit: Audit, kept: Kept
) -> None:
    kept.open.clear()
    done: list[int] = []
    calling = asyncio.create_task(call(audit, does(lambda: done.append(1))))
    await kept.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    kept.open.set()
    await audit.settle()
    assert done == []
    assert kept.outcomes == {1: Outcome(AuditRecord.FAILED, "DEADLINE_EXCEEDED")}


async def test_a_client_that_goes_away_while_it_is_not_recorded_leaves_nothing(
    audit: Audit, kept: Kept
) -> None:
    kept.open.clear()
    kept.attempt_error = RuntimeError("gone")
    calling = asyncio.create_task(call(audit, does(empty_pb2.Empty)))
    await kept.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    kept.open.set()
    await audit.settle()
    assert (kept.attempts, kept.outcomes) == ([], {})


async def test_a_client_that_goes_away_while_it_is_done_leaves_an_outcome(
    audit: Audit, kept: Kept
) -> None:
    begun = asyncio.Event()

    async def handler(_request: Any, _context: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    calling = asyncio.create_task(call(audit, handler))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await audit.settle()
    assert kept.outcomes == {1: Outcome(AuditRecord.FAILED, "DEADLINE_EXCEEDED")}


async def test_a_client_that_goes_away_while_the_outcome_is_recorded_does_not_lose_it(
    audit: Audit, kept: Kept
) -> None:
    begun = asyncio.Event()

    def handler() -> Any:
        kept.open.clear()
        kept.asked.clear()
        begun.set()
        return empty_pb2.Empty()

    calling = asyncio.create_task(call(audit, does(handler)))
    await begun.wait()
    await kept.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert kept.outcomes == {}
    kept.open.set()
    await audit.settle()
    assert kept.outcomes == {1: ACCEPTED}


@pytest.mark.parametrize("deadline", [None, 0.2])
async def test_a_call_that_the_client_ends_over_the_wire_leaves_an_outcome(
    audit: Audit, kept: Kept, deadline: float | None
) -> None:
    begun = asyncio.Event()

    class Rebooting(reboot_pb2_grpc.RebootServiceServicer):
        async def RebootServer(self, request: Any, _context: Any) -> Any:
            begun.set()
            await asyncio.Event().wait()

    def identify(_path: str, handler: Handler) -> Handler:
        async def identified(request: Any, context: Any) -> Any:
            called_by(caller())
            return await handler(request, context)

        return identified

    serving = server.build(
        Layers(report, identify, audit),
        lambda to: reboot_pb2_grpc.add_RebootServiceServicer_to_server(Rebooting(), to),
    )
    address = new_address()
    serving.add_insecure_port(address)
    await serving.start()
    async with grpc.aio.insecure_channel(address) as channel:
        calling = reboot_pb2_grpc.RebootServiceStub(channel).RebootServer(REQUEST, timeout=deadline)
        await begun.wait()
        kept.asked.clear()
        if deadline is None:
            calling.cancel()
        await asyncio.wait_for(kept.asked.wait(), 10)
    await serving.stop(None)
    await audit.settle()
    assert kept.outcomes == {1: Outcome(AuditRecord.FAILED, "DEADLINE_EXCEEDED")}
