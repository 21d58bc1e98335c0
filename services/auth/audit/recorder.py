"""Writes down what callers do, for auth itself and for the services that tell it."""

from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.audit.trail import Trail
from services.runtime.audit import Attempt, Outcome
from services.runtime.call import Caller


class TrailRecorder:
    """Implements Recorder, on the trail itself."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        """See Recorder. A customer's account is that of the principal, whatever is said."""
        return await self._trail.append(
            AuditRecord(
                account=caller.account or attempt.account,
                audience=caller.principal.audience,
                subject=caller.principal.subject,
                address=attempt.address,
                method=attempt.method,
                resource=attempt.resource,
                request=attempt.request,
                details=attempt.details,
            )
        )

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        """See Recorder. Raises ApiError for an attempt of somebody else, and the second time."""
        said = AuditRecord(
            audience=caller.principal.audience,
            subject=caller.principal.subject,
            outcome=outcome.outcome,
            reason=outcome.reason,
            operation=outcome.operation,
            resource=outcome.resource,
            account=outcome.account,
        )
        await self._trail.append(said, attempt)
