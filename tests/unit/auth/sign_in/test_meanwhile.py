"""What happens to a user between the look at a password and what is then done for it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.accounts.user import User
from services.runtime.errors import ApiError
from tests.unit.auth.sign_in.people import PASSWORD, People, visit
from tests.unit.auth.sign_in.test_sign_in import refusal, with_second_factor

ADDRESS = "203.0.113.4"

Change = Callable[[People, User], Awaitable[Any]]


async def disable(people: People, user: User) -> None:
    await people.manage.update(user.id, None, disabled=True)


async def reset(people: People, user: User) -> None:
    await people.manage.reset(user.id)


async def change_password(people: People, user: User) -> None:
    await people.own.change_password(user.id, "", PASSWORD, "another password", "192.0.2.1")


@pytest.mark.parametrize("change", [disable, reset, change_password])
async def test_who_is_changed_while_signing_in_has_no_session(
    people: People, change: Change
) -> None:
    user = await people.user()
    people.passwords.meanwhile = partial(change, people, user)
    error = await refusal(people.sign_in.with_password(user.email, PASSWORD, "", visit()))
    assert error.reason == Reason.SIGN_IN_FAILED
    assert await people.sessions.end_all(user.id, "") == []
    assert people.trail.records[-1].outcome == AuditRecord.REFUSED


async def test_a_password_that_was_reset_meanwhile_cannot_be_changed(people: People) -> None:
    user = await people.user()
    people.passwords.meanwhile = partial(reset, people, user)
    error = await refusal(
        people.own.change_password(user.id, "", PASSWORD, "a thief's password", ADDRESS)
    )
    assert error.reason == Reason.SIGN_IN_FAILED
    late = people.sign_in.with_password(user.email, "a thief's password", "", visit())
    assert (await refusal(late)).reason == Reason.SIGN_IN_FAILED


async def test_a_session_alone_gives_nobody_a_password(people: People) -> None:
    user = await people.user()
    await people.users.change(user.id, lambda found: replace(found, password=None))
    with pytest.raises(ApiError):
        await people.own.change_password(user.id, "", "any", "a thief's password", ADDRESS)
    kept = await people.users.get(user.id)
    assert kept is not None
    assert kept.password is None


async def test_a_password_kept_at_another_cost_is_kept_anew_by_signing_in(people: People) -> None:
    user = await people.user()
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    await people.users.change(user.id, lambda found: replace(found, password=old))
    await people.sign_in.with_password(user.email, PASSWORD, "", visit())
    kept = await people.users.get(user.id)
    assert kept is not None
    assert kept.password is not None
    assert kept.password != old
    assert not people.passwords.is_outdated(kept.password)
    await people.sign_in.with_password(user.email, PASSWORD, "", visit())
    assert await people.users.get(user.id) == kept, "once is enough"


async def test_changing_the_password_does_not_make_guessing_the_code_free(people: People) -> None:
    user, _, _ = await with_second_factor(people)
    for number in range(4):
        place = visit(address=f"192.0.2.{number}")
        error = await refusal(people.sign_in.with_password(user.email, PASSWORD, "000000", place))
        assert error.reason == Reason.SIGN_IN_FAILED
    await people.own.change_password(user.id, "", PASSWORD, PASSWORD, "192.0.2.8")
    place = visit(address="192.0.2.9")
    error = await refusal(people.sign_in.with_password(user.email, PASSWORD, "000000", place))
    assert error.reason == Reason.RATE_LIMITED


async def test_a_name_that_the_database_cannot_keep_is_refused_and_says_so(people: People) -> None:
    for email in ("\0", "a\0@example.net"):
        error = await refusal(people.sign_in.with_password(email, PASSWORD, "", visit()))
        assert error.reason == Reason.INVALID_REQUEST
        assert [each.field for each in error.violations] == ["email"]


@pytest.mark.parametrize("code", ["\0", "é", "１２３４５６", "-", "0" * 32])
async def test_an_odd_code_is_a_wrong_code(people: People, code: str) -> None:
    user, _, _ = await with_second_factor(people)
    error = await refusal(people.sign_in.with_password(user.email, PASSWORD, code, visit()))
    assert error.reason == Reason.SIGN_IN_FAILED
