"""Writes the audit trail, which auth keeps, over gRPC."""

import grpc.aio
from f2h.auth.v1 import audit_pb2, audit_pb2_grpc

from services.runtime.audit import Attempt, Outcome
from services.runtime.call import Caller
from services.runtime.principal import HEADER

DEADLINE_SECONDS = 2.0


class AuditClient:
    """Implements Recorder. auth takes who did it from the caller's principal, shown again."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = audit_pb2_grpc.AuditServiceStub(channel)

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        """See Recorder. Raises grpc.aio.AioRpcError."""
        answer = await self._stub.RecordAttempt(
            audit_pb2.RecordAttemptRequest(
                method=attempt.method,
                resource=attempt.resource,
                account=attempt.account,
                address=attempt.address,
                request=attempt.request,
                details=attempt.details,
            ),
            metadata=((HEADER, caller.header),),
            timeout=DEADLINE_SECONDS,
        )
        return int(answer.sequence)

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        """See Recorder. Raises grpc.aio.AioRpcError."""
        await self._stub.RecordOutcome(
            audit_pb2.RecordOutcomeRequest(
                attempt=attempt,
                outcome=outcome.outcome,
                reason=outcome.reason,
                operation=outcome.operation,
            ),
            metadata=((HEADER, caller.header),),
            timeout=DEADLINE_SECONDS,
        )
