"""A boot, its tokens and its reports, as values."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.netboot.boot import (
    LOG_LINES,
    Boot,
    Event,
    Report,
    TokenInvalid,
    TokenUsed,
    awaited,
    begun,
    new_token,
    reported,
    scripted,
)
from services.server_ops.netboot.image import Image, ImageFile, ImageKind
from services.server_ops.netboot.netboot import BootType

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EXPIRE = NOW + timedelta(minutes=15)
FILE = ImageFile("rescue/kernel", "0" * 64)
IMAGE = Image("rescue", ImageKind.RESCUE, FILE, FILE, "", NOW)
BOOT = Boot(UUID(int=1), "ns1.example.net", BootType.RESCUE, IMAGE, EXPIRE)
SECOND = timedelta(seconds=1)


def test_a_boot_can_be_begun_until_it_expires() -> None:
    assert awaited(BOOT, EXPIRE - SECOND)
    assert not awaited(BOOT, EXPIRE)
    begun(BOOT, "a", EXPIRE - SECOND)
    with pytest.raises(TokenInvalid):
        begun(BOOT, "a", EXPIRE)


def test_a_boot_is_one_systems() -> None:
    first = begun(BOOT, "a", NOW)
    assert begun(first, "a", NOW + SECOND).progress.begin_time == NOW
    with pytest.raises(TokenUsed):
        begun(first, "b", NOW)
    assert not awaited(first, NOW)


def test_tokens_are_long_and_kept_as_digests() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}
    [token, *_] = tokens
    assert token.encode() not in scripted(BOOT, token).token_digest


@given(st.lists(st.builds(Report, st.sampled_from(Event), percent=st.integers(0, 100))))
def test_what_was_reported_is_never_taken_back(reports: list[Report]) -> None:
    boot = begun(BOOT, "a", NOW)
    for number, report in enumerate(reports, start=1):
        after = reported(boot, report, NOW + number * SECOND)
        for time in ("ready_time", "done_time", "failed_time", "first_report_time", "begin_time"):
            before = getattr(boot.progress, time)
            assert before is None or getattr(after.progress, time) == before
        assert after.progress.percent >= boot.progress.percent
        boot = after


@given(st.lists(st.text(), max_size=50), st.text())
def test_what_a_machine_says_cannot_command_a_terminal(log: list[str], message: str) -> None:
    boot = BOOT
    for _ in range(10):
        boot = reported(boot, Report(Event.ALIVE, log=tuple(log), message=message), NOW)
    said = [*boot.progress.log, boot.progress.message]
    assert not [text for text in said for character in text if character in "\x1b\r\n\x7f\x9b"]
    assert len(boot.progress.log) == min(LOG_LINES, 10 * len(log))
