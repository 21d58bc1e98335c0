from datetime import UTC, datetime

import pytest

from services.security.antispam.listing import LookUp
from services.security.antispam.proven import NOT_WORKING, TEST_ENTRY, ProvenBlocklist
from services.security.antispam.return_codes import from_answers

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IP = "203.0.113.9"


class Zone:
    """Implements Blocklist: answers these codes, or why there are none."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[tuple[str, bool]] = []

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        self.asked.append((ip, fresh))
        answer = self.answers["test" if ip == TEST_ENTRY else "ip"]
        if answer and not answer.startswith("127."):
            return LookUp(ip, (), answer, NOW)
        return from_answers(ip, answer.split(), NOW)


async def test_clean_is_believed_beside_a_test_entry_that_is_listed() -> None:
    zone = Zone(ip="", test="127.0.0.2 127.0.0.4")
    found = await ProvenBlocklist(zone).look_up(IP, fresh=True)
    assert (found.ip, found.listings, found.unknown) == (IP, (), "")
    assert zone.asked == [(IP, True), (TEST_ENTRY, False)]


@pytest.mark.parametrize(
    ("test", "why"), [("", NOT_WORKING), ("No answer.", "No answer."), ("127.255.255.254", "")]
)
async def test_clean_is_unknown_where_nothing_is_listed(test: str, why: str) -> None:
    found = await ProvenBlocklist(Zone(ip="", test=test)).look_up(IP)
    assert found.listings == ()
    assert found.unknown
    assert not why or found.unknown == why


@pytest.mark.parametrize("ip", ["127.0.0.3", "No answer."])
async def test_what_is_listed_or_unknown_needs_no_proof(ip: str) -> None:
    zone = Zone(ip=ip, test="")
    found = await ProvenBlocklist(zone).look_up(IP)
    assert bool(found.listings) != bool(found.unknown)
    assert [asked for asked, _ in zone.asked] == [IP]
