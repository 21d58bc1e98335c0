"""No audit record, no action: what a call is about to do is written down before it is done."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

import grpc.aio
import protovalidate
import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord, RecordAttemptRequest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from services.runtime.access import Audience, Rule
from services.runtime.call import Caller, current_call, current_caller
from services.runtime.errors import ApiError
from services.runtime.interceptors import NO_DATABASE, Handler
from services.runtime.pasted import withheld

RESOURCE_LENGTH = 254
ACCOUNT_LENGTH = 63
ADDRESS_LENGTH = 64
REQUEST_LENGTH = 128
OPERATION_LENGTH = 64
DETAIL_LENGTH = 2048
"""The limits of protos/f2h/auth/v1/audit.proto. What is longer is cut: it comes unvalidated, and
also a refusal of it is to be written down."""

_PARTED = ", "
_WITHHELD = "[withheld]"
"""In place of a value that breaks the rule for what others read, as in logs."""

_AUDITED = frozenset({Audience.CUSTOMER, Audience.SESSION, Audience.NOC, Audience.STAFF})
_ACTS_FOR_ANY_ACCOUNT = frozenset({Audience.NOC, Audience.STAFF})

_NAMES = ("hostname", "id")
"""Request fields that name what is acted on, where the rule names none."""

_OUR_FAULT = frozenset(
    {code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.UNKNOWN, code_pb2.DEADLINE_EXCEEDED}
)
_NO_ANSWER = (*NO_DATABASE, grpc.aio.AioRpcError)
"""What services.runtime.interceptors.report tells the caller as DEPENDENCY_UNAVAILABLE."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a call is about to do."""

    method: str
    """As gRPC calls it: "/package.Service/Method"."""
    resource: str
    """What it will be done to; empty: the account, or not named."""
    account: str
    """The account that it concerns, where the caller acts for none."""
    address: str
    """The address that the call came from."""
    request: str
    """The edge's id of the request."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What else was asked, by the names of the request's fields."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    outcome: "AuditRecord.Outcome.ValueType"
    reason: str = ""
    """Why it was refused or failed, a name of f2h.access.v1.Reason."""
    operation: str = ""
    """The name of the operation that was accepted."""
    resource: str = ""
    """What was made, where the attempt could not name it yet."""
    account: str = ""
    """The account that it turned out to concern, where the attempt could not name it."""


class Recorder(Protocol):
    """Writes the audit trail. Who did it is the caller, who is verified."""

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        """Writes down what is about to be done; answers its place in the trail.

        Raises when it is not written down, or not known to be.
        """
        ...

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        """Writes down what came of it."""
        ...


class Audit:
    """A layer (see services.runtime.interceptors) between Identify and Admit.

    There it sees who calls, and every refusal of what may still come.
    """

    def __init__(
        self, rules: Mapping[str, Rule], recorder: Recorder, *, exempt: frozenset[str] = frozenset()
    ) -> None:
        """`exempt` are RPCs that write their own records."""
        self._rules = rules
        self._recorder = recorder
        self._exempt = exempt
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of the RPC with this path."""
        rule = self._rules.get(path)
        if path in self._exempt or rule is None:
            return handler
        if not rule.audited or not rule.audiences & _AUDITED:
            return handler

        async def audited(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            caller = current_caller()
            attempt = _attempt(path, rule, request, caller)
            sequence = await self._begin(caller, attempt)
            try:
                answer = await handler(request, context)
            except (Exception, asyncio.CancelledError) as error:
                await self._end(caller, sequence, _failure(error))
                raise
            await self._end(caller, sequence, _success(answer, attempt))
            return answer

        return audited

    async def settle(self) -> None:
        """Waits until every outcome is written whose call is over. For the end of the service."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _begin(self, caller: Caller, attempt: Attempt) -> int:
        recording = asyncio.ensure_future(self._recorder.attempt(caller, attempt))
        try:
            return await asyncio.shield(recording)
        except asyncio.CancelledError as error:
            # The client is gone and nothing will be done; but the attempt may stand in the trail.
            self._start(self._abandon(caller, recording, _failure(error)))
            raise
        except Exception:
            log.exception("attempt not recorded", rpc=attempt.method)
            text = "This action cannot be recorded now, so it is not done. Nothing was changed."
            raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1) from None

    async def _end(self, caller: Caller, sequence: int, outcome: Outcome) -> None:
        # In a task of its own: a client that goes away now cancels the waiting, not the writing.
        await asyncio.shield(self._start(self._conclude(caller, sequence, outcome)))

    async def _abandon(
        self, caller: Caller, recording: asyncio.Future[int], outcome: Outcome
    ) -> None:
        try:
            sequence = await recording
        except Exception:
            log.exception("attempt not recorded, and given up by the client")
            return
        await self._conclude(caller, sequence, outcome)

    async def _conclude(self, caller: Caller, sequence: int, outcome: Outcome) -> None:
        try:
            await self._recorder.outcome(caller, sequence, outcome)
        except Exception:
            log.exception("outcome not recorded", attempt=sequence, outcome=outcome.outcome)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _attempt(path: str, rule: Rule, request: Message, caller: Caller) -> Attempt:
    call = current_call()
    any_account = caller.principal.audience in _ACTS_FOR_ANY_ACCOUNT
    names = (rule.resource_field, *_NAMES)
    return Attempt(
        method=path,
        resource=withheld(next((value for name in names if (value := _text(request, name))), ""))[
            :RESOURCE_LENGTH
        ],
        account=_text(request, "account")[:ACCOUNT_LENGTH] if any_account else "",
        address=call.address[:ADDRESS_LENGTH],
        request=call.request[:REQUEST_LENGTH],
        details=_details(rule, request),
    )


def _details(rule: Rule, request: Message) -> dict[str, str]:
    """What the request holds in the fields that the contract says are recorded.

    Nothing of a request that breaks a rule: where an address belongs may then stand anything.
    """
    if not rule.details or protovalidate.collect_violations(request):
        return {}
    given = {
        each.name: _written(each, value)
        for each, value in request.ListFields()
        if each.name in rule.details
    }
    # What the mask names and nothing is given for is emptied: a key's networks, for instance.
    mask = getattr(request, "update_mask", None)
    named = rule.details.intersection(() if mask is None else mask.paths)
    return {
        name: text if _may_be_read(name, text) else _WITHHELD
        for name, text in {**dict.fromkeys(named, ""), **given}.items()
    }


def _may_be_read(name: str, text: str) -> bool:
    """Whether the rule for what others read allows it; the rule of the field may be wider."""
    told = RecordAttemptRequest(method="-", details={name: text})
    return not protovalidate.collect_violations(told)


def _written(of: FieldDescriptor, value: Any) -> str:
    """A field's value as JSON would have it, a list's parted by commas; no longer than allowed."""
    if of.is_repeated:
        return _listed([_single(of, each) for each in value])
    text = _single(of, value)
    return text if len(text) <= DETAIL_LENGTH else f"{text[: DETAIL_LENGTH - 1]}…"


def _listed(items: Sequence[str]) -> str:
    whole = _PARTED.join(items)
    if len(whole) <= DETAIL_LENGTH:
        return whole
    room = DETAIL_LENGTH - len(f" … (+{len(items)})")
    ends = accumulate(len(each) + len(_PARTED) for each in items)
    kept = sum(end - len(_PARTED) <= room for end in ends)
    return f"{_PARTED.join(items[:kept])} … (+{len(items) - kept})".lstrip()


def _single(of: FieldDescriptor, value: Any) -> str:
    if of.enum_type is not None:
        return str(of.enum_type.values_by_number[value].name)
    if isinstance(value, Timestamp):
        return _time(value)
    return str(value).lower() if isinstance(value, bool) else withheld(str(value))


def _time(value: Timestamp) -> str:
    try:
        return value.ToJsonString()
    except (ValueError, OverflowError):  # what comes as gRPC can be no time at all
        return _WITHHELD


def _success(answer: object, attempt: Attempt) -> Outcome:
    if not isinstance(answer, Message):
        return Outcome(AuditRecord.ACCEPTED)  # a stream, which begins now
    operation = ""
    if answer.DESCRIPTOR.full_name == "google.longrunning.Operation":
        operation = _text(answer, "name")
    made = "" if attempt.resource or operation else _said(answer, "id")
    account = "" if attempt.account else _said(answer, "account")
    return Outcome(
        AuditRecord.ACCEPTED,
        operation=operation[:OPERATION_LENGTH],
        resource=made[:RESOURCE_LENGTH],
        account=account[:ACCOUNT_LENGTH],
    )


def _said(answer: Message, field: str) -> str:
    """What an answer, or the one thing in it that has such a field, says there."""
    parts = [value for _, value in answer.ListFields() if isinstance(value, Message)]
    return next((text for each in (answer, *parts) if (text := _text(each, field))), "")


def _failure(error: BaseException) -> Outcome:
    if isinstance(error, ApiError):
        ours = error.status().code in _OUR_FAULT
        outcome = AuditRecord.FAILED if ours else AuditRecord.REFUSED
        return Outcome(outcome, Reason.Name(error.reason))
    if isinstance(error, asyncio.CancelledError):
        # By the deadline, or by a client that did not wait for it: gRPC does not tell which.
        reason = Reason.DEADLINE_EXCEEDED
    else:
        reason = Reason.DEPENDENCY_UNAVAILABLE if isinstance(error, _NO_ANSWER) else Reason.INTERNAL
    return Outcome(AuditRecord.FAILED, Reason.Name(reason))


def _text(message: Message, field: str) -> str:
    """What a field holds; empty when there is no such field, or it is no text."""
    value = getattr(message, field, "") if field else ""
    return value if isinstance(value, str) else ""
