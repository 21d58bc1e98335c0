"""What the check refused, in the audit trail."""

from collections.abc import Mapping
from typing import Protocol

import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.audit.trail import Trail
from services.auth.check.check import Attempt
from services.runtime.access import Rule
from services.runtime.errors import ApiError
from services.runtime.networks import neighbourhood
from services.runtime.quota import PerMinute

_NOBODY = frozenset({Reason.CREDENTIAL_MISSING, Reason.CREDENTIAL_INVALID, Reason.SESSION_INVALID})
"""Refused for want of a right credential: whoever has an address can cause it."""

ADDRESS_LENGTH = 64
REQUEST_LENGTH = 128

log = structlog.get_logger()


class Claims(Protocol):
    """Knows whom a refused caller claims to be."""

    async def claimed(self, attempt: Attempt) -> tuple[str, str, int]:
        """Subject, account and audience, as far as the credential names them."""
        ...


class Refusals:
    """Writes down refused mutations."""

    def __init__(
        self, rules: Mapping[str, Rule], claims: Claims, trail: Trail, quota: PerMinute
    ) -> None:
        """`quota` bounds what one address without a right credential can have written a minute."""
        self._rules = rules
        self._claims = claims
        self._trail = trail
        self._quota = quota

    async def record(self, attempt: Attempt, error: ApiError) -> None:
        """Writes a refusal down, if the call would have changed something.

        A refusal stands whether or not it can be written: nothing was done.
        """
        rule = self._rules.get(attempt.path)
        if (
            rule is None
            or not rule.audited
            or error.reason in {Reason.NOT_FOUND, Reason.RATE_LIMITED}
        ):
            return
        if error.reason in _NOBODY and not self._quota.allows(neighbourhood(attempt.address)):
            log.warning("refusal not recorded", rpc=attempt.path, address=attempt.address)
            return
        try:
            subject, account, audience = await self._claims.claimed(attempt)
            await self._trail.append(
                AuditRecord(
                    account=account,
                    audience=audience,  # type: ignore[arg-type]  # an int at run time
                    subject=subject,
                    address=attempt.address[:ADDRESS_LENGTH],
                    method=attempt.path,
                    outcome=AuditRecord.REFUSED,
                    reason=Reason.Name(error.reason),
                    request=attempt.request[:REQUEST_LENGTH],
                )
            )
        except Exception:
            log.exception("refusal not recorded", rpc=attempt.path)
