"""f2h.auth.v1.AuditService."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from f2h.auth.v1 import audit_pb2, audit_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.auth.audit.trail import Filter, Records
from services.auth.rpc.scope import account_asked
from services.runtime import timestamps
from services.runtime.audit import Attempt, Outcome, Recorder
from services.runtime.call import current_caller
from services.runtime.errors import invalid
from services.runtime.paging import decode_token, encode_token, page_size

NO_ACCOUNT = "-"
"""How the NOC asks for what belongs to no account."""

PAGE_BYTES = 512 * 1024
"""A page ends with the record that reaches this. As JSON it can be some times as much, and the edge
answers with 4 MiB at most: nobody is to make a trail that cannot be read by what they ask for."""

_SEQUENCE = re.compile("[1-9][0-9]{0,17}", re.ASCII)


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Shows the audit trail, and lets our services write it."""

    def __init__(self, records: Records, recorder: Recorder) -> None:
        self._records = records
        self._recorder = recorder

    async def ListAuditRecords(
        self, request: audit_pb2.ListAuditRecordsRequest, _context: Any
    ) -> audit_pb2.ListAuditRecordsResponse:
        """A page of an account's records."""
        size = page_size(request.page_size)
        before = _position(request.page_token)
        read = await self._records.page(_filter(request), before, size + 1)
        page = read[: _fitting(read[:size])]
        return audit_pb2.ListAuditRecordsResponse(
            records=page,
            next_page_token=encode_token(str(page[-1].sequence)) if len(read) > len(page) else "",
        )

    async def GetAuditCheckpoint(
        self, _request: audit_pb2.GetAuditCheckpointRequest, _context: Any
    ) -> audit_pb2.AuditCheckpoint:
        """The state of the chain."""
        return await self._records.checkpoint()

    async def RecordAttempt(
        self, request: audit_pb2.RecordAttemptRequest, _context: Any
    ) -> audit_pb2.RecordAttemptResponse:
        """Writes down what the caller is about to do."""
        attempt = Attempt(
            method=request.method,
            resource=request.resource,
            account=request.account,
            address=request.address,
            request=request.request,
            details=request.details,
        )
        sequence = await self._recorder.attempt(current_caller(), attempt)
        return audit_pb2.RecordAttemptResponse(sequence=sequence)

    async def RecordOutcome(
        self, request: audit_pb2.RecordOutcomeRequest, _context: Any
    ) -> audit_pb2.RecordOutcomeResponse:
        """Writes down what came of it."""
        outcome = Outcome(
            outcome=request.outcome, reason=request.reason, operation=request.operation
        )
        await self._recorder.outcome(current_caller(), request.attempt, outcome)
        return audit_pb2.RecordOutcomeResponse()


def _fitting(records: Sequence[audit_pb2.AuditRecord]) -> int:
    """How many of them, from the first on, make a page; one at least, if there is one."""
    ends = accumulate((record.ByteSize() for record in records), initial=0)
    return sum(end < PAGE_BYTES for end in [*ends][:-1])


def _filter(request: audit_pb2.ListAuditRecordsRequest) -> Filter:
    account = account_asked(request.account)
    return Filter(
        account="" if account == NO_ACCOUNT else account,
        subject=request.subject,
        resource=request.resource,
        method=request.method,
        outcome=request.outcome,
        start=_time(request, "start_time"),
        end=_time(request, "end_time"),
    )


def _time(request: audit_pb2.ListAuditRecordsRequest, name: str) -> datetime | None:
    """A time of the request. What comes as gRPC can be no time at all."""
    if not request.HasField(name):  # type: ignore[arg-type]  # one of its fields
        return None
    given: Timestamp = getattr(request, name)
    try:
        return timestamps.unpack(given)
    except (ValueError, OverflowError):
        raise invalid(name, "must be a time in the years 1 to 9999") from None


def _position(token: str) -> int | None:
    """Where the page before ended; a token that was not made by us is refused."""
    place = decode_token(token)
    if not place:
        return None
    if not _SEQUENCE.fullmatch(place):
        raise invalid("page_token", "must be the next_page_token of an earlier answer")
    return int(place)
