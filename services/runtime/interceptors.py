"""What happens to every call before and after its handler, in this order:

observe   it gets its id, is counted and timed, and is a part of a trace
report    failures become a google.rpc.Status, and nothing else reaches the caller
identify  the principal is verified: who calls, from where
admit     audience, capability, role and network are enforced
validate  the request keeps the rules that its proto states
grant     the server that the request names is one that the key names
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
import protovalidate
import structlog
from f2h.access.v1.reason_pb2 import Reason
from google.protobuf.message import Message
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.runtime import reasons, tracing
from services.runtime.access import (
    Audience,
    Rule,
    address_not_allowed,
    audience_not_allowed,
    capability_missing,
    role_missing,
)
from services.runtime.call import (
    Call,
    Caller,
    current_call,
    current_caller,
    server_not_granted,
    set_call,
)
from services.runtime.errors import ApiError, Violation, retry_after
from services.runtime.networks import is_within
from services.runtime.observing import Observe, failed
from services.runtime.policy import PolicyCache
from services.runtime.principal import HEADER, PrincipalVerifier
from services.runtime.standing import Standing

Handler = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]
Layer = Callable[[str, Handler], Handler]
"""Wraps the handler of the RPC with this path."""

Conversation = Callable[
    [Any, AsyncIterator[Any], grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]
]
"""What answers an RPC that takes a stream: see Layers.around."""

FIRST_MESSAGE_SECONDS = 10.0

WITHOUT_PRINCIPAL = frozenset({Audience.PUBLIC, Audience.NODE})
"""Who calls without a principal: anybody, and machines, which prove themselves by a token."""

log = structlog.get_logger()

NO_DATABASE = (OperationalError, InterfaceError, PoolTimeoutError)
"""A database that does not answer, however it says so."""

_STATUS_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Layers:
    """Layers for every RPC of a server, the first one outermost."""

    def __init__(
        self, *layers: Layer, standing: Standing | None = None, observe: Observe | None = None
    ) -> None:
        """`standing` ends the streams of callers who may no more; None: there are no streams.

        `observe` stands around all of them; None: nobody observes.
        """
        self.layers = layers
        self.observe = observe
        self._standing = standing

    def around(self, path: str, handler: Any) -> Any:
        """The handler of the RPC with this path, in its layers.

        An RPC that answers with a stream is a coroutine here, which answers with the iterator of
        its messages: the layers stand around the coroutine, so that a stream begins only when all
        of them have let the call through. One that takes a stream is a coroutine that is given the
        first message, which the layers look at, and an iterator of those that follow.

        Raises TypeError for an RPC that takes a stream and answers with one message: there is none.
        """
        if handler.unary_unary is not None:
            layered = self._layered(path, handler.unary_unary)
            if self.observe is not None:
                layered = self.observe.unary(path, layered)
            return handler._replace(unary_unary=layered)
        if self._standing is None or handler.stream_unary is not None:
            raise TypeError(f"{path} is a stream, and no layer guards it")
        if handler.unary_stream is not None:
            begin = self._layered(path, handler.unary_stream)
            stream = self._observed(path, _streamed(path, begin, self._standing))
            return handler._replace(unary_stream=stream)
        conversation = self._conversation(path, handler.stream_stream, self._standing)
        return handler._replace(stream_stream=self._observed(path, conversation))

    def _observed(
        self, path: str, stream: Callable[[Any, Any], AsyncGenerator[Any, None]]
    ) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
        return stream if self.observe is None else self.observe.stream(path, stream)

    def _layered(self, path: str, handler: Handler) -> Handler:
        for layer in reversed(self.layers):
            handler = layer(path, handler)
        return handler

    def _conversation(
        self, path: str, begin: Conversation, standing: Standing
    ) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
        async def conversation(
            requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncGenerator[Any, None]:
            async def begun(request: Any, context: Any) -> Any:
                return await begin(request, _valid(requests), context)

            first = await report(path, _first)(requests, context)
            streamed = _streamed(path, self._layered(path, begun), standing)
            async for message in streamed(first, context):
                yield message

        return conversation


async def _first(requests: AsyncIterator[Any], _context: Any) -> Any:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            return await anext(requests)
    except (TimeoutError, StopAsyncIteration):
        text = f"Send the first message within {FIRST_MESSAGE_SECONDS:g} s: it says what is asked."
        raise ApiError(Reason.INVALID_REQUEST, text) from None


async def _valid(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """What follows the first message of a stream, each one validated as that was."""
    async for request in requests:
        _refuse_violations(request)
        yield request


def _streamed(
    path: str, begin: Handler, standing: Standing
) -> Callable[[Any, Any], AsyncGenerator[Any, None]]:
    """The stream that a coroutine in its layers answers with."""

    async def streamed(
        request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        messages: AsyncGenerator[Any, None] = await begin(request, context)
        try:
            async with standing.of(current_caller()) as over:

                async def following(_request: Any, _context: Any) -> Any:
                    return await _next(messages, over)

                # What fails in the middle is told as what fails at the beginning.
                reported = report(path, following)
                while (message := await reported(request, context)) is not None:
                    yield message
        finally:
            await messages.aclose()

    return streamed


async def _next(messages: AsyncGenerator[Any, None], over: "asyncio.Future[ApiError]") -> Any:
    """The next message, None at the end. Raises why the stream is over when that comes first."""
    coming: asyncio.Future[Any] = asyncio.ensure_future(anext(messages, None))
    first: set[asyncio.Future[Any]] = {coming, over}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
    if over.done():
        raise over.result()
    return coming.result()


class LayeredServer:
    """What services are added to in place of a server, so that they stand within the layers.

    grpc.aio's own interceptors make tasks of their own for every call; this costs nothing then.
    """

    def __init__(self, server: grpc.aio.Server, layers: Layers) -> None:
        self._server = server
        self._layers = layers

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """Generated code says everything twice; what follows is enough."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the methods of a service. Called by the generated `add_…_to_server`."""
        layered = {
            name: self._layers.around(f"/{service}/{name}", handler)
            for name, handler in handlers.items()
        }
        generic = grpc.method_handlers_generic_handler(service, layered)
        self._server.add_generic_rpc_handlers((generic,))


def report(path: str, handler: Handler) -> Handler:
    """Failures become a google.rpc.Status, and nothing else reaches the caller."""
    expected = reasons.expected(path)

    async def reported(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await handler(request, context)
        except ApiError as error:
            failure = error
        except grpc.aio.AbortError:
            raise
        except NO_DATABASE as error:
            log.error("database unavailable", rpc=path, cause=type(error).__name__)
            failure = _unavailable("The database of this service does not answer.")
        except grpc.aio.AioRpcError as error:
            log.error("upstream failed", rpc=path, code=error.code().name)
            failure = _unavailable("A service that this call needs does not answer.")
        except Exception:
            log.exception("internal error", rpc=path)
            text = "A fault of ours. It is recorded; try again later."
            failure = ApiError(Reason.INTERNAL, text)
        if expected is not None and failure.reason not in expected:
            # The caller is told all the same; the contract has to say it, or the service not.
            log.error("undeclared reason", rpc=path, reason=Reason.Name(failure.reason))
        status = failure.status(tracing.request_id())
        failed(status.code, Reason.Name(failure.reason))
        await context.abort(
            _CODES[status.code],
            status.message,
            ((_STATUS_DETAILS, status.SerializeToString()), *retry_after(failure)),
        )
        return None  # not reached: abort raises

    return reported


class Identify:
    """The principal is verified: who calls, from where. Some RPCs are for whoever calls."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        verifier: PrincipalVerifier,
        policies: PolicyCache,
        *,
        open_paths: frozenset[str] = frozenset(),
    ) -> None:
        """`open_paths` are RPCs that need no principal: what the edge itself asks."""
        self._rules = rules
        self._verifier = verifier
        self._policies = policies
        self._open_paths = open_paths

    def __call__(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of the RPC with this path."""
        if path in self._open_paths:
            return handler
        rule = self._rules.get(path)
        audiences = rule.audiences if rule else frozenset()
        nobody = bool(WITHOUT_PRINCIPAL & audiences)
        named = Audience.CUSTOMER in audiences

        async def identified(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            metadata = dict(context.invocation_metadata() or ())
            header = str(metadata.get(HEADER, ""))
            caller = None if nobody else await self._caller(header, with_policy=named)
            if caller is not None:
                tracing.note("f2h.principal", caller.principal.subject)
            set_call(Call(caller, metadata))
            return await handler(request, context)

        return identified

    async def _caller(self, header: str, *, with_policy: bool) -> Caller:
        principal = self._verifier.verify(header)
        if principal.audience != Audience.CUSTOMER or not with_policy:
            return Caller(principal, header, None)
        policy = await self._policies.get(principal.policy_digest, header)
        return Caller(principal, header, policy)


class Admit:
    """Audience, capability, role and network are enforced. No rule, no call."""

    def __init__(
        self, rules: Mapping[str, Rule], *, open_paths: frozenset[str] = frozenset()
    ) -> None:
        """`open_paths` are RPCs that need no principal: what the edge itself asks."""
        self._rules = rules
        self._open_paths = open_paths

    def __call__(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of the RPC with this path."""
        rule = self._rules.get(path)
        if path in self._open_paths or (rule is not None and WITHOUT_PRINCIPAL & rule.audiences):
            return handler

        async def admitted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            _admit(rule, current_caller(), current_call().address)
            return await handler(request, context)

        return admitted


def _admit(rule: Rule | None, caller: Caller, address: str) -> None:
    principal = caller.principal
    if rule is None or not rule.audiences & {principal.audience, Audience.FORWARDED}:
        raise audience_not_allowed(rule.audiences if rule else frozenset())
    if Audience.FORWARDED in rule.audiences:
        return
    if principal.audience == Audience.CUSTOMER:
        policy = caller.policy
        if policy is None or not (rule.any_key or rule.capability in policy.capabilities):
            raise capability_missing(rule.capability)
        if policy.cidrs and not is_within(address, policy.cidrs):
            raise address_not_allowed(address)
    if principal.audience in {Audience.SESSION, Audience.STAFF} and principal.role < rule.role:
        raise role_missing(rule.role)


def validate(_path: str, handler: Handler) -> Handler:
    """The request keeps the rules that its proto states."""

    async def validated(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        _refuse_violations(request)
        return await handler(request, context)

    return validated


def _refuse_violations(request: Message) -> None:
    violations = protovalidate.collect_violations(request)
    if violations:
        raise _invalid(violations)


class Grant:
    """The server that the request names is one that the key names. A person's are the account's."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules

    def __call__(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of the RPC with this path."""
        rule = self._rules.get(path)
        if rule is None or not rule.server_field:
            return handler

        async def granted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            server = getattr(request, rule.server_field)
            tracing.note("f2h.server", server)
            if not current_caller().may_act_on(server):
                raise server_not_granted(server)
            return await handler(request, context)

        return granted


def _invalid(violations: Any) -> ApiError:
    named = [
        Violation(_field(violation.proto.field), violation.proto.message)
        for violation in violations
    ]
    text = "; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in named)
    return ApiError(Reason.INVALID_REQUEST, text, violations=named)


def _field(path: Any) -> str:
    """A field's path as a person writes it: "cidrs[2]"; empty for a rule on the whole message."""
    elements = path.elements if path else ()
    return ".".join(
        f"{element.field_name}[{element.subscript.value}]"
        if element.subscript
        else element.field_name
        for element in elements
    )


def _unavailable(message: str) -> ApiError:
    return ApiError(Reason.DEPENDENCY_UNAVAILABLE, message, retry_after_seconds=1)
