import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
from buf.validate import validate_pb2
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import key_pb2, user_pb2
from f2h.auth.v1.audit_pb2 import AuditRecord
from f2h.security.v1 import antihack_pb2
from f2h.server_ops.v1 import (
    install_pb2,
    reboot_pb2,
    reboot_pb2_grpc,
    rescue_pb2,
    webhook_pb2,
)
from f2h.server_ops.v1.webhook_pb2 import Webhook
from google.api import field_behavior_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, empty_pb2, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from sqlalchemy.exc import OperationalError

from services.auth.bootstrap import CHECKED
from services.auth.keys.secret import PREFIX, SESSION_PREFIX, generate
from services.runtime import server
from services.runtime.access import CATALOGUE, Audience, Role, Rule, rules
from services.runtime.audit import DETAIL_LENGTH, Attempt, Audit, Outcome
from services.runtime.call import Call, Caller, set_call
from services.runtime.errors import ApiError
from services.runtime.interceptors import Handler, Layers, report
from services.server_ops.webhooks import signing
from tests.unit.serving import new_address

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
CREATE_KEY = "/f2h.auth.v1.KeyService/CreateKey"
REVOKE_KEY = "/f2h.auth.v1.KeyService/RevokeKey"
UNBAN = "/f2h.security.v1.AntihackService/UnbanAddress"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVAxNpnzyQ2sV3sUTlqJ0wDAyRK1+MFe+MmGSvN9RRQ me"
RULES = {**rules(key_pb2), **rules(reboot_pb2), **rules(user_pb2)}
ALL_RULES = {path: rule for path, rule in rules(*CHECKED).items() if rule.details}
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
    await call(Audit(ALL_RULES, kept), does(object), path, request)
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


async def test_what_a_change_empties_is_recorded_as_empty(kept: Kept) -> None:
    change = key_pb2.UpdateKeyRequest(id="a" * 16)
    path = "/f2h.auth.v1.KeyService/UpdateKey"
    change.update_mask.paths.append("cidrs")
    assert await recorded(kept, path, change) == {"cidrs": ""}
    change.update_mask.paths.append("label")
    change.label = "nightly"
    assert await recorded(kept, path, change) == {"cidrs": "", "label": "nightly"}


async def test_for_how_long_a_key_is_asked_for_is_recorded(kept: Kept) -> None:
    asked = key_pb2.CreateKeyRequest(capabilities=["server.reboot"], no_expiry=True)
    assert (await recorded(kept, CREATE_KEY, asked))["no_expiry"] == "true"
    asked = key_pb2.CreateKeyRequest(capabilities=["server.reboot"])
    asked.expire_time.FromJsonString("2126-11-25T08:00:00Z")
    assert (await recorded(kept, CREATE_KEY, asked))["expire_time"] == "2126-11-25T08:00:00Z"
    asked.expire_time.nanos = 2_000_000_000  # more than a second
    assert (await recorded(kept, CREATE_KEY, asked))["expire_time"] == "[withheld]"


async def test_a_long_list_is_cut_and_says_how_much_is_left_out(kept: Kept) -> None:
    servers = [f"ns{number}.example.net" for number in range(1000)]
    many = key_pb2.CreateKeyRequest(
        label="nightly", capabilities=[*CATALOGUE], servers=servers, cidrs=["192.0.2.0/24"]
    )
    details = await recorded(kept, CREATE_KEY, many)
    assert details["label"] == "nightly"
    assert details["capabilities"].split(", ") == [*CATALOGUE]
    listed, _, left_out = details["servers"].partition(" … ")
    shown = listed.split(", ")
    assert shown == servers[: len(shown)]
    assert len(shown) > 50
    assert left_out == f"(+{1000 - len(shown)})"
    assert len(details["servers"]) <= DETAIL_LENGTH


async def test_a_long_text_is_cut_and_says_so(kept: Kept) -> None:
    install = install_pb2.StartInstallRequest(
        hostname="ns1.example.net", confirm_hostname="ns1.example.net", template="debian-12"
    )
    install.os_hostname = ".".join(["long"] * 1000)
    path = "/f2h.server_ops.v1.InstallService/StartInstall"
    name = (await recorded(kept, path, install))["os_hostname"]
    assert (len(name), name[:10], name[-1]) == (DETAIL_LENGTH, "long.long.", "…")


@pytest.mark.parametrize("prefix", [PREFIX, SESSION_PREFIX])
async def test_a_key_that_was_pasted_is_recorded_without_its_secret(
    kept: Kept, prefix: str
) -> None:
    key = generate(prefix)
    unban = antihack_pb2.UnbanAddressRequest(
        hostname="ns1.example.net", ip="192.0.2.66", jail=str(key)
    )
    assert (await recorded(kept, UNBAN, unban))["jail"] == f"{prefix}.{key.id}.…"
    await recorded(kept, UNBAN, antihack_pb2.UnbanAddressRequest(hostname=str(key)))
    assert kept.attempts[-1].resource == f"{prefix}.{key.id}.…"


async def test_a_webhooks_secret_that_was_pasted_is_not_recorded(kept: Kept) -> None:
    webhook = webhook_pb2.CreateWebhookRequest(
        url="https://hooks.example.net/",
        event_types=[Webhook.OPERATION_CREATED],
        label=f"my {signing.new_secret()}!",
    )
    path = "/f2h.server_ops.v1.WebhookService/CreateWebhook"
    assert (await recorded(kept, path, webhook))["label"] == "my whsec_…!"


def example_of(field: FieldDescriptor) -> Any:
    """A value that the field takes: the contract's example, where it has one."""
    rules_ = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules_.repeated.items if field.is_repeated else rules_
    values: list[Any] = [*kind.string.example] or ["a"]
    if field.enum_type is not None:
        values = [*kind.enum.example] or [field.enum_type.values[1].number]
    return values if field.is_repeated else values[0]


def recorded_texts() -> list[tuple[str, str]]:
    """Every text of a request that is recorded: the RPC's path and the field."""
    return [
        (path, name)
        for path, rule in ALL_RULES.items()
        for name in sorted(rule.details)
        if request_type(path).fields_by_name[name].type == FieldDescriptor.TYPE_STRING
    ]


def request_type(path: str) -> Descriptor:
    service, _, method = path[1:].rpartition("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method].input_type


@pytest.mark.parametrize(("path", "name"), recorded_texts())
async def test_no_recorded_text_turns_the_direction_of_writing(
    kept: Kept, path: str, name: str
) -> None:
    of = request_type(path)
    request = message_factory.GetMessageClass(of)()
    for field in of.fields:
        needed = (
            field_behavior_pb2.REQUIRED
            in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        )
        if needed or field.name in {name, "id", "hostname", "ip"}:
            value = example_of(field)
            if field.is_repeated:
                getattr(request, field.name).extend(value)
            else:
                setattr(request, field.name, value)
    audit = Audit(ALL_RULES, kept)
    await call(audit, does(object), path, request)
    assert kept.attempts[0].details[name], "an honest one is recorded"
    held = getattr(request, name)
    for text in ("\u202e", "a\u202eb", "fe80::1%\u202e x"):
        if of.fields_by_name[name].is_repeated:
            held[:] = [text]
        else:
            setattr(request, name, text)
        await call(audit, does(object), path, request)
        assert "\u202e" not in "".join(kept.attempts[-1].details.values())


async def test_a_text_that_others_must_not_read_is_withheld(kept: Kept) -> None:
    install = install_pb2.StartInstallRequest(
        hostname="ns1.example.net", confirm_hostname="ns1.example.net", template="debian-12"
    )
    install.layout = "raid1\u202e"
    path = "/f2h.server_ops.v1.InstallService/StartInstall"
    assert await recorded(kept, path, install) == {"template": "debian-12", "layout": "[withheld]"}


async def test_the_zone_of_an_address_is_refused(kept: Kept) -> None:
    unban = antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip="fe80::1%my password")
    assert await recorded(kept, UNBAN, unban) == {}


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
