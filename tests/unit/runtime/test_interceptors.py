import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import key_pb2
from f2h.server_ops.v1 import reboot_pb2
from google.rpc import code_pb2
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.auth import bootstrap as auth
from services.auth.settings import AuthSettings
from services.runtime import server
from services.runtime.access import Audience, Role, Rule, rules
from services.runtime.call import Call, Caller, current_call, set_call
from services.runtime.clock import system_clock
from services.runtime.database import migrate
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import PrincipalVerifier
from services.runtime.standing import Standing
from services.security import bootstrap as security
from services.security.__main__ import MIGRATIONS as SECURITY_MIGRATIONS
from services.security.settings import SecuritySettings
from services.server_ops.__main__ import MIGRATIONS as SERVER_OPS_MIGRATIONS
from services.server_ops.bootstrap import operations as server_ops_operations
from services.server_ops.bootstrap import service as server_ops
from services.server_ops.settings import ServerOpsSettings
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
FORWARDED = "/test.Service/Forwarded"
PUBLIC = "/test.Service/Public"
PEOPLE = "/test.Service/People"
ANY_KEY = "/test.Service/AnyKey"
NOC = "/test.Service/Noc"
UNRULED = "/test.Service/Unruled"
OPEN = "/test.Service/Open"

RULES = {
    REBOOT: rules(reboot_pb2)[REBOOT],
    FORWARDED: Rule(frozenset({Audience.FORWARDED}), "", ""),
    PUBLIC: Rule(frozenset({Audience.PUBLIC}), "", ""),
    NOC: Rule(frozenset({Audience.NOC}), "", ""),
    PEOPLE: Rule(frozenset({Audience.SESSION, Audience.STAFF}), "", "hostname", role=Role.MEMBER),
    ANY_KEY: Rule(frozenset({Audience.CUSTOMER}), "", "", any_key=True),
}
POLICY = Policy(["server.reboot"], ["ns1.example.net"])
AT_HOME = Policy(["server.reboot"], ["ns1.example.net"], ["203.0.113.0/24"])
REQUEST = reboot_pb2.RebootServerRequest(hostname="ns1.example.net")


class Answer:
    """What the handlers of a test do, and the calls that reached them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.do: Callable[[], object] = lambda: None

    async def __call__(self, request: Any, _context: Any) -> Any:
        self.calls.append(current_call())
        self.do()
        return request


@pytest.fixture(scope="module")
def answer() -> Answer:
    return Answer()


@pytest.fixture(autouse=True)
def anew(answer: Answer) -> None:
    answer.calls.clear()
    answer.do = lambda: None


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return new_address()


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, answer: Answer) -> Iterator[grpc.aio.Server]:
    async def fetch(digest: bytes, _header: str) -> Policy:
        for policy in (POLICY, AT_HOME):
            if digest == policy.digest():
                return policy
        raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no such policy")

    identify = Identify(
        RULES,
        PrincipalVerifier({1: SIGNING_KEY.public_key()}, system_clock),
        PolicyCache(fetch),
        open_paths=frozenset({OPEN}),
    )

    def handler(behaviour: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=reboot_pb2.RebootServerRequest.FromString,
            response_serializer=reboot_pb2.RebootServerRequest.SerializeToString,
        )

    async def opened(request: Any, _context: Any) -> Any:
        return request

    def add(to: grpc.aio.Server) -> None:
        """As generated code does; whether a method has a rule or not, it is there."""
        services: dict[str, dict[str, Any]] = {}
        for path in (*RULES, UNRULED, OPEN):
            _, service, method = path.split("/")
            behaviour = opened if path == OPEN else answer
            services.setdefault(service, {})[method] = handler(behaviour)
        for service, methods in services.items():
            generic = grpc.method_handlers_generic_handler(service, methods)
            to.add_generic_rpc_handlers((generic,))
            to.add_registered_method_handlers(service, methods)  # type: ignore[attr-defined]

    @asynccontextmanager
    async def build() -> AsyncIterator[grpc.aio.Server]:
        admit = Admit(RULES, open_paths=frozenset({OPEN}))
        yield server.build(Layers(report, identify, admit, validate, Grant(RULES)), add)

    with served(build, lambda built: built, grpc_addr) as built:
        yield built


@pytest.fixture
def customer() -> Metadata:
    return signed(audience=Audience.CUSTOMER, account="demo", policy_digest=POLICY.digest())


def call(channel: grpc.Channel, path: str, metadata: Metadata = (), request: Any = REQUEST) -> Any:
    rpc = channel.unary_unary(
        path, request_serializer=lambda each: each.SerializeToString(), response_deserializer=None
    )
    return rpc(request, metadata=metadata, timeout=10)


def refusal(
    channel: grpc.Channel, path: str, metadata: Metadata = (), request: Any = REQUEST
) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, path, metadata, request)
    return status_of(refused.value)


# --- What the services are built with


ORDER = ["Observe", "report", "Accept", "Identify", "Audit", "Admit", "validate", "Grant"]


@pytest.fixture
def built_with(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The layers of every server that is built in this test, by name."""
    seen: list[list[str]] = []
    original = server.build

    def build(layers: Layers, add_services: Callable[[grpc.aio.Server], None]) -> Any:
        around = (layers.observe, *layers.layers)
        seen.append([getattr(layer, "__name__", type(layer).__name__) for layer in around])
        return original(layers, add_services)

    monkeypatch.setattr(server, "build", build)
    return seen


def public_keys() -> dict[int, str]:
    return {1: base64.b64encode(SIGNING_KEY.public_key().public_bytes_raw()).decode()}


async def test_auth_is_built_with_the_layers_in_their_order(
    built_with: list[list[str]], tmp_path: Path
) -> None:
    key = base64.b64encode(bytes(32)).decode()
    settings = AuthSettings.model_validate(
        {
            "database_url": f"sqlite:///{tmp_path / 'auth.db'}",
            "peppers": {1: {"key": key}},
            "signing_keys": {1: {"key": key}},
            "sealing_keys": {1: key},
        }
    )
    async with auth.build(settings):
        assert built_with == [ORDER]


async def test_server_ops_is_built_with_the_layers_in_their_order(
    built_with: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoWorkflows:
        def __init__(self, *_: object) -> None: ...

        def launch(self, _run: object) -> None: ...

        def start(self) -> None: ...

        async def forget(self) -> None: ...

        async def halt(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(server_ops_operations, "DurableWorkflows", NoWorkflows)
    url = f"sqlite:///{tmp_path / 'server_ops.db'}"
    await asyncio.to_thread(migrate, url, SERVER_OPS_MIGRATIONS)
    settings = ServerOpsSettings.model_validate(
        {
            "database_url": url,
            "bmc_keys": {1: base64.b64encode(bytes(32)).decode()},
            "principal_public_keys": public_keys(),
        }
    )
    async with server_ops.build(settings):
        assert built_with == [ORDER]


async def test_security_is_built_with_the_layers_in_their_order(
    built_with: list[list[str]], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'security.db'}"
    await asyncio.to_thread(migrate, url, SECURITY_MIGRATIONS)
    settings = SecuritySettings.model_validate(
        {
            "database_url": url,
            "service_key": base64.b64encode(bytes(32)).decode(),
            "principal_public_keys": public_keys(),
        }
    )
    async with security.build(settings):
        assert built_with == [ORDER]


# --- Networks, and people


@pytest.mark.parametrize(
    ("forwarded", "passes"),
    [
        ("203.0.113.4", True),
        ("::ffff:203.0.113.4", True),
        ("203.0.113.4, 198.51.100.7", False),
        ("198.51.100.7", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_a_key_with_networks_is_good_from_them_only_also_in_a_token(
    grpc_channel: grpc.Channel, forwarded: str | None, *, passes: bool
) -> None:
    metadata = signed(
        audience=Audience.CUSTOMER, account="demo", policy_digest=AT_HOME.digest(), token=True
    )
    if forwarded is not None:
        metadata += (("x-f2h-client", forwarded),)
    if passes:
        call(grpc_channel, REBOOT, metadata)
    else:
        assert info_of(refusal(grpc_channel, REBOOT, metadata)).reason == "ADDRESS_NOT_ALLOWED"


@pytest.mark.parametrize("kind", ["SESSION", "STAFF"])
def test_people_need_the_role_that_the_rule_names(grpc_channel: grpc.Channel, kind: str) -> None:
    audience = Audience.Value(kind)
    info = info_of(refusal(grpc_channel, PEOPLE, signed(audience=audience, role=Role.READ_ONLY)))
    assert (info.reason, dict(info.metadata)) == ("ROLE_MISSING", {"role": "MEMBER"})
    no_role = refusal(grpc_channel, PEOPLE, signed(audience=audience))
    assert info_of(no_role).reason == "ROLE_MISSING"


def test_a_signed_in_person_acts_for_the_account_and_staff_on_no_server(
    grpc_channel: grpc.Channel,
) -> None:
    call(grpc_channel, PEOPLE, signed(audience=Audience.SESSION, role=Role.OWNER, account="demo"))
    staff = signed(audience=Audience.STAFF, role=Role.OWNER)
    assert info_of(refusal(grpc_channel, PEOPLE, staff)).reason == "SERVER_NOT_GRANTED"


def test_where_any_key_may_call_a_key_without_capabilities_may(
    grpc_channel: grpc.Channel, customer: Metadata
) -> None:
    call(grpc_channel, ANY_KEY, customer)


# --- report


def test_an_unknown_failure_is_internal_and_says_nothing_of_itself(
    grpc_channel: grpc.Channel, answer: Answer
) -> None:
    def fail() -> None:
        raise RuntimeError("canary: password in /etc")

    answer.do = fail
    status = refusal(grpc_channel, PUBLIC)
    assert status.code == code_pb2.INTERNAL
    assert info_of(status).reason == "INTERNAL"
    assert b"canary" not in status.SerializeToString()
    assert b"RuntimeError" not in status.SerializeToString()


def aio_error() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, nothing, nothing, "canary", "canary")


@pytest.mark.parametrize(
    "make",
    [
        lambda: OperationalError("SELECT canary", {}, Exception("canary")),
        lambda: InterfaceError("SELECT canary", {}, Exception("canary")),
        lambda: PoolTimeoutError("canary"),
        aio_error,
    ],
)
def test_a_part_that_does_not_answer_is_said_to_be_unavailable(
    grpc_channel: grpc.Channel, answer: Answer, make: Callable[[], Exception]
) -> None:
    def fail() -> None:
        raise make()

    answer.do = fail
    status = refusal(grpc_channel, PUBLIC)
    assert status.code == code_pb2.UNAVAILABLE
    assert info_of(status).reason == "DEPENDENCY_UNAVAILABLE"
    assert any(each.TypeName() == "google.rpc.RetryInfo" for each in status.details)
    assert b"canary" not in status.SerializeToString()


def test_a_refusal_of_ours_is_told_as_it_is(grpc_channel: grpc.Channel, answer: Answer) -> None:
    error = ApiError(
        Reason.SERVER_BUSY, "Beschäftigt.", metadata={"operation": "1"}, retry_after_seconds=2
    )

    def fail() -> None:
        raise error

    answer.do = fail
    assert refusal(grpc_channel, PUBLIC) == error.status()


@pytest.mark.parametrize(
    ("reason", "told"), [(Reason.SERVER_BUSY, False), (Reason.IP_LISTED, True)]
)
async def test_a_reason_that_the_contract_does_not_say_of_the_rpc_is_logged(
    reason: "Reason.ValueType", *, told: bool
) -> None:
    class Context:
        async def abort(self, *_status: object) -> None:
            raise grpc.aio.AbortError

    async def refuse(_request: object, _context: object) -> None:
        raise ApiError(reason, "No.")

    with structlog.testing.capture_logs() as logs, pytest.raises(grpc.aio.AbortError):
        await report(REBOOT, refuse)(REQUEST, Context())  # type: ignore[arg-type]
    said = {"event": "undeclared reason", "rpc": REBOOT, "reason": Reason.Name(reason)}
    assert [{**said, "log_level": "error"}] * told == logs


# --- admit


@pytest.mark.parametrize("path", [UNRULED, NOC, REBOOT, FORWARDED])
def test_a_call_without_a_principal_is_refused(
    grpc_channel: grpc.Channel, answer: Answer, path: str
) -> None:
    status = refusal(grpc_channel, path)
    assert status.code == code_pb2.UNAUTHENTICATED
    assert info_of(status).reason == "PRINCIPAL_INVALID"
    assert not answer.calls


@pytest.mark.parametrize("kind", [*Audience.keys()])
def test_an_rpc_without_a_rule_is_refused_to_everybody(
    grpc_channel: grpc.Channel, answer: Answer, kind: str
) -> None:
    metadata = signed(audience=Audience.Value(kind), policy_digest=POLICY.digest())
    status = refusal(grpc_channel, UNRULED, metadata)
    assert info_of(status).reason == "AUDIENCE_NOT_ALLOWED"
    assert not answer.calls


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((REBOOT, kind) for kind in sorted({*Audience.keys()} - {"CUSTOMER", "SESSION"})),
        *((ANY_KEY, kind) for kind in sorted({*Audience.keys()} - {"CUSTOMER"})),
    ],
)
def test_a_call_is_refused_to_kinds_of_callers_that_its_rule_does_not_name(
    grpc_channel: grpc.Channel, answer: Answer, path: str, kind: str
) -> None:
    metadata = signed(audience=Audience.Value(kind), role=Role.OWNER, policy_digest=POLICY.digest())
    status = refusal(grpc_channel, path, metadata)
    assert info_of(status).reason == "AUDIENCE_NOT_ALLOWED"
    assert not answer.calls


def test_a_refusal_for_the_kind_of_caller_says_which_kinds_may_call(
    grpc_channel: grpc.Channel, customer: Metadata
) -> None:
    """As protos/f2h/access/v1/reason.proto promises of AUDIENCE_NOT_ALLOWED."""
    info = info_of(refusal(grpc_channel, NOC, customer))
    assert dict(info.metadata) == {"audience": "NOC"}


def test_a_key_without_the_capability_is_refused_naming_it(
    grpc_addr: str, answer: Answer, customer: Metadata
) -> None:
    other = Policy(["ipmi.status"], ["ns1.example.net"])

    async def fetch(_digest: bytes, _header: str) -> Policy:
        return other

    identify = Identify(
        RULES, PrincipalVerifier({1: SIGNING_KEY.public_key()}, system_clock), PolicyCache(fetch)
    )

    class Context:
        def invocation_metadata(self) -> Metadata:
            return customer

    async def run() -> None:
        admitted = Admit(RULES)(REBOOT, answer)
        await identify(REBOOT, admitted)(REQUEST, Context())  # type: ignore[arg-type]

    with pytest.raises(ApiError) as refused:
        asyncio.run(run())
    assert refused.value.reason == Reason.CAPABILITY_MISSING
    assert refused.value.metadata == {"capability": "server.reboot"}
    assert not answer.calls


def test_the_handler_knows_who_calls(
    grpc_channel: grpc.Channel, answer: Answer, customer: Metadata
) -> None:
    assert call(grpc_channel, REBOOT, customer) == REQUEST.SerializeToString()
    [seen] = answer.calls
    assert seen.caller is not None
    assert seen.caller.account == "demo"
    assert seen.caller.header == customer[0][1], "it can be forwarded as it came"
    assert seen.caller.policy is not None
    assert seen.caller.policy.digest() == POLICY.digest()


@pytest.mark.parametrize("kind", ["CUSTOMER", "NOC", "SERVICE"])
def test_a_forwarded_call_is_answered_whatever_the_kind_and_needs_no_policy(
    grpc_channel: grpc.Channel, answer: Answer, kind: str
) -> None:
    call(grpc_channel, FORWARDED, signed(audience=Audience.Value(kind), policy_digest=bytes(32)))
    [seen] = answer.calls
    assert seen.caller is not None
    assert seen.caller.policy is None
    assert not seen.caller.may_act_on("ns1.example.net")


def test_a_public_call_has_no_caller_also_when_it_carries_a_principal(
    grpc_channel: grpc.Channel, answer: Answer, customer: Metadata
) -> None:
    call(grpc_channel, PUBLIC)
    call(grpc_channel, PUBLIC, customer)
    assert [seen.caller for seen in answer.calls] == [None, None]


# --- validate


@pytest.mark.parametrize("path", [REBOOT, PUBLIC])
def test_a_request_that_breaks_a_rule_of_its_proto_is_refused_naming_the_field(
    grpc_channel: grpc.Channel, answer: Answer, customer: Metadata, path: str
) -> None:
    wrong = reboot_pb2.RebootServerRequest(hostname="not a name")
    status = refusal(grpc_channel, path, customer, wrong)
    assert status.code == code_pb2.INVALID_ARGUMENT
    assert fields_of(status) == ["hostname"]
    assert "hostname: " in status.message
    assert not answer.calls


async def test_a_field_in_a_list_is_named_with_its_index() -> None:
    async def handler(request: Any, _context: Any) -> Any:
        return request

    request = key_pb2.CreateKeyRequest(
        account="demo", capabilities=["ipmi.status"], cidrs=["203.0.113.0/24", "203.0.113.4/24"]
    )
    with pytest.raises(ApiError) as refused:
        await validate("", handler)(request, None)  # type: ignore[arg-type]
    assert [violation.field for violation in refused.value.violations] == ["cidrs[1]"]


def test_a_request_is_looked_at_only_when_the_caller_may_call(grpc_channel: grpc.Channel) -> None:
    wrong = reboot_pb2.RebootServerRequest(hostname="not a name")
    assert info_of(refusal(grpc_channel, REBOOT, (), wrong)).reason == "PRINCIPAL_INVALID"


# --- grant


@pytest.mark.parametrize("hostname", ["ns2.example.net", "ns1.example.net.", "s1.example.net"])
def test_a_server_that_the_key_does_not_name_is_refused(
    grpc_channel: grpc.Channel, answer: Answer, customer: Metadata, hostname: str
) -> None:
    request = reboot_pb2.RebootServerRequest(hostname=hostname)
    info = info_of(refusal(grpc_channel, REBOOT, customer, request))
    assert (info.reason, dict(info.metadata)) == ("SERVER_NOT_GRANTED", {"server": hostname})
    assert not answer.calls


def test_what_is_open_needs_nothing(grpc_channel: grpc.Channel) -> None:
    assert call(grpc_channel, OPEN) == REQUEST.SerializeToString()


def test_a_stream_cannot_be_served_without_a_guard() -> None:
    talk = grpc.stream_stream_rpc_method_handler(lambda _requests, _context: iter(()))
    upload = grpc.stream_unary_rpc_method_handler(lambda _requests, _context: None)
    with pytest.raises(TypeError, match="no layer guards it"):
        Layers(report, validate).around("/test.Service/Talk", talk)
    with pytest.raises(TypeError, match="no layer guards it"):
        Layers(report, validate, standing=standing()).around("/test.Service/Upload", upload)


def standing(renew: Callable[[str], Awaitable[str]] | None = None) -> Standing:
    async def renewed(header: str) -> str:
        return header

    principal = Principal(expire_seconds=2**40)
    return Standing(renew or renewed, lambda _header: principal, system_clock)


def known(_path: str, handler: Any) -> Any:
    """A layer that says who calls."""

    async def identified(request: Any, context: Any) -> Any:
        set_call(Call(Caller(Principal(subject="somebody"), "header", None), {}))
        return await handler(request, context)

    return identified


class Aborted(Exception):  # noqa: N818
    """What a context raises in abort."""


class Context:
    """A call's context, as far as layers look at it."""

    def __init__(self) -> None:
        self.told: tuple[grpc.StatusCode, str] | None = None

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, text: str, _trailing: object) -> None:
        self.told = code, text
        raise Aborted


def streaming(begin: Any, renew: Callable[[str], Awaitable[str]] | None = None) -> Any:
    """What serves an RPC that answers with a stream, in its layers."""
    handler = grpc.unary_stream_rpc_method_handler(begin)
    layers = Layers(report, known, validate, standing=standing(renew))
    return layers.around("/test.Service/Watch", handler).unary_stream


def conversing(begin: Any) -> Any:
    """What serves an RPC that takes a stream and answers with one, in its layers."""
    handler = grpc.stream_stream_rpc_method_handler(begin)
    layers = Layers(report, known, validate, standing=standing())
    return layers.around("/test.Service/Talk", handler).stream_stream


async def sent(*messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def test_a_stream_begins_only_when_every_layer_lets_it_through() -> None:
    begun = []

    async def begin(_request: Any, _context: Any) -> AsyncIterator[str]:
        begun.append(True)
        return letters()

    async def letters() -> AsyncIterator[str]:
        for letter in "abc":
            yield letter

    right = key_pb2.GetKeyRequest(id="0" * 16)
    assert [each async for each in streaming(begin)(right, Context())] == ["a", "b", "c"]
    context = Context()
    with pytest.raises(Aborted):
        await anext(streaming(begin)(key_pb2.GetKeyRequest(id="nonsense"), context))
    assert (len(begun), context.told and context.told[0]) == (
        1,
        grpc.StatusCode.INVALID_ARGUMENT,
    )


async def test_what_fails_in_the_middle_of_a_stream_is_told_as_everything_and_ends_it() -> None:
    ended = []

    async def begin(_request: Any, _context: Any) -> AsyncIterator[str]:
        return failing()

    async def failing() -> AsyncIterator[str]:
        try:
            yield "a"
            raise ValueError("driver text")
        finally:
            ended.append(True)

    context = Context()
    stream = streaming(begin)(key_pb2.GetKeyRequest(id="0" * 16), context)
    assert await anext(stream) == "a"
    with pytest.raises(Aborted):
        await anext(stream)
    assert context.told is not None
    assert context.told[0] is grpc.StatusCode.INTERNAL
    assert "driver text" not in context.told[1]
    assert ended == [True]


async def test_a_reader_that_goes_away_ends_the_stream_at_its_source() -> None:
    ended = []

    async def begin(_request: Any, _context: Any) -> AsyncIterator[str]:
        return endless()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "a"
        finally:
            ended.append(True)

    stream = streaming(begin)(key_pb2.GetKeyRequest(id="0" * 16), Context())
    assert await anext(stream) == "a"
    await stream.aclose()
    assert ended == [True]


async def test_a_key_that_is_revoked_takes_its_stream_along() -> None:
    ended = []

    async def begin(_request: Any, _context: Any) -> AsyncIterator[str]:
        return quiet()

    async def quiet() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def renew(_header: str) -> str:
        raise ApiError(Reason.KEY_REVOKED, "This API key was revoked.")

    context = Context()
    stream = streaming(begin, renew)(key_pb2.GetKeyRequest(id="0" * 16), context)
    assert await anext(stream) == "a"
    async with asyncio.timeout(5):
        with pytest.raises(Aborted):
            await anext(stream)
    assert context.told == (grpc.StatusCode.UNAUTHENTICATED, "This API key was revoked.")
    assert ended == [True]


async def echo(first: Any, following: AsyncIterator[Any], _context: Any) -> AsyncIterator[str]:
    async def answers() -> AsyncIterator[str]:
        yield first.id
        async for message in following:
            yield message.id

    return answers()


async def test_what_follows_in_a_stream_is_given_on_and_validated() -> None:
    right = [key_pb2.GetKeyRequest(id=str(number) * 16) for number in range(3)]
    answers = [each async for each in conversing(echo)(sent(*right), Context())]
    assert answers == [each.id for each in right]
    context = Context()
    talk = conversing(echo)(sent(right[0], key_pb2.GetKeyRequest(id="nonsense")), context)
    assert await anext(talk) == right[0].id
    with pytest.raises(Aborted):
        await anext(talk)
    assert context.told is not None
    assert context.told[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("messages", [(), (key_pb2.GetKeyRequest(id="nonsense"),)])
async def test_a_stream_that_is_taken_begins_with_a_valid_message(
    messages: tuple[Any, ...],
) -> None:
    begun = []

    async def begin(_first: Any, _following: Any, _context: Any) -> AsyncIterator[str]:
        begun.append(True)
        return sent()

    context = Context()
    with pytest.raises(Aborted):
        await anext(conversing(begin)(sent(*messages), context))
    assert context.told is not None
    assert context.told[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert not begun
