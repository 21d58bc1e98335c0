from typing import Any

import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.audit.recorder import TrailRecorder
from services.runtime.access import Audience
from services.runtime.audit import Attempt, Outcome
from services.runtime.call import Caller

METHOD = "/f2h.auth.v1.KeyService/CreateKey"


class Kept:
    """A trail that remembers what it was given."""

    def __init__(self) -> None:
        self.records: list[tuple[AuditRecord, int | None]] = []

    async def append(self, record: AuditRecord, attempt: int | None = None) -> int:
        self.records.append((record, attempt))
        return len(self.records)


def caller(**fields: Any) -> Caller:
    return Caller(Principal(**fields), "", None)


@pytest.mark.parametrize(
    ("who", "account"),
    [
        (caller(audience=Audience.CUSTOMER, subject="e" * 16, account="demo"), "demo"),
        (caller(audience=Audience.SESSION, subject="d" * 16, account="demo"), "demo"),
        (caller(audience=Audience.NOC, subject="f" * 16), "said"),
        (caller(audience=Audience.STAFF, subject="c" * 16), "said"),
    ],
)
async def test_who_did_it_is_the_principal(who: Caller, account: str) -> None:
    kept = Kept()
    details = {"label": "nightly"}
    attempt = Attempt(METHOD, "ns1.example.net", "said", "203.0.113.4", "request-1", details)
    assert await TrailRecorder(kept).attempt(who, attempt) == 1
    expected = AuditRecord(
        account=account,
        audience=who.principal.audience,
        subject=who.principal.subject,
        address="203.0.113.4",
        method=METHOD,
        resource="ns1.example.net",
        request="request-1",
        details=details,
    )
    assert kept.records == [(expected, None)]


async def test_an_outcome_says_whose_it_is() -> None:
    kept = Kept()
    who = caller(audience=Audience.NOC, subject="f" * 16)
    outcome = Outcome(AuditRecord.ACCEPTED, operation="operations/1", resource="made")
    await TrailRecorder(kept).outcome(who, 7, outcome)
    expected = AuditRecord(
        audience=Audience.NOC,
        subject="f" * 16,
        outcome=AuditRecord.ACCEPTED,
        operation="operations/1",
        resource="made",
    )
    assert kept.records == [(expected, 7)]
