import asyncio
from collections.abc import Awaitable
from typing import Any

import pyotp
import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.accounts.user import User
from services.auth.keys.secret import SESSION_PREFIX, parse
from services.auth.sign_in.identity import Identity
from services.auth.sign_in.sign_in import Side
from services.runtime.access import Audience, Role
from services.runtime.errors import ApiError
from tests.unit.auth.sign_in.people import PASSWORD, People, visit


async def refusal(work: Awaitable[Any]) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await work
    return refused.value


# --- Passwords


async def test_who_knows_the_password_has_a_session(people: People) -> None:
    user = await people.user("A@Example.net")
    signed_in = await people.sign_in.with_password("a@EXAMPLE.net", PASSWORD, "", visit())
    assert signed_in.user.id == user.id
    token = parse(str(signed_in.token), SESSION_PREFIX)
    assert token is not None
    record = await people.sessions.record(token.id)
    assert record is not None
    assert (record.user, record.account) == (user.id, "acme")
    assert (record.audience, record.role) == (Audience.SESSION, Role.MEMBER)


async def test_all_who_do_not_get_in_are_told_the_same_after_the_same_work(
    people: People,
) -> None:
    await people.user("right@example.net")
    disabled = await people.user("disabled@example.net")
    await people.manage.update(disabled.id, None, disabled=True)
    await people.user("staff@example.net", "noc")
    attempts = [
        ("right@example.net", "wrong password", visit()),
        ("nobody@example.net", PASSWORD, visit()),
        ("disabled@example.net", PASSWORD, visit()),
        ("staff@example.net", PASSWORD, visit()),
        ("right@example.net", PASSWORD, visit(Side.INTERNAL)),
    ]
    told = set()
    for email, password, where in attempts:
        before = people.passwords.verified
        error = await refusal(people.sign_in.with_password(email, password, "", where))
        assert people.passwords.verified == before + 1
        told.add(error.status().SerializeToString())
        assert error.reason == Reason.SIGN_IN_FAILED
    assert len(told) == 1


async def test_staff_sign_in_on_the_internal_side(people: People) -> None:
    await people.user("staff@example.net", "noc")
    inside = visit(Side.INTERNAL)
    signed_in = await people.sign_in.with_password("staff@example.net", PASSWORD, "", inside)
    record = await people.sessions.record(signed_in.session.id)
    assert record is not None
    assert record.audience == Audience.STAFF


# --- The audit trail


async def test_every_attempt_is_written_down_with_what_came_of_it(people: People) -> None:
    user = await people.user()
    await refusal(people.sign_in.with_password("a@example.net", "wrong", "", visit()))
    await refusal(people.sign_in.with_password("x@example.net", "wrong", "", visit()))
    await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
    assert [(each.subject, each.account, each.outcome) for each in people.trail.records] == [
        (user.id, "acme", AuditRecord.REFUSED),
        ("x@example.net", "", AuditRecord.REFUSED),
        (user.id, "acme", AuditRecord.ACCEPTED),
    ]
    assert {each.address for each in people.trail.records} == {"203.0.113.4"}
    assert not [each for each in people.trail.records if PASSWORD in str(each)]


async def test_without_a_record_nobody_gets_in(people: People) -> None:
    await people.user()
    people.trail.fails = True
    with pytest.raises(ConnectionError):
        await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
    assert await people.sessions.end_all((await people.user("b@example.net")).id, "") == []
    user = await people.users.by_email("a@example.net")
    assert user is not None
    assert await people.sessions.end_all(user.id, "") == []


# --- Guessing


async def test_a_thousand_guesses_at_once_are_five_guesses(people: People) -> None:
    await people.user()
    guesses = [
        refusal(people.sign_in.with_password("a@example.net", "wrong", "", visit()))
        for _ in range(60)
    ]
    reasons = [error.reason for error in await asyncio.gather(*guesses)]
    assert reasons.count(Reason.SIGN_IN_FAILED) == 5
    assert reasons.count(Reason.RATE_LIMITED) == 55
    assert people.passwords.verified == 5


async def test_who_waits_gets_in_and_is_free_again(people: People) -> None:
    await people.user()
    for _ in range(5):
        await refusal(people.sign_in.with_password("a@example.net", "wrong", "", visit()))
    late = await refusal(people.sign_in.with_password("a@example.net", PASSWORD, "", visit()))
    assert (late.reason, late.retry_after_seconds) == (Reason.RATE_LIMITED, 1.0)
    people.clock.pass_(seconds=1)
    await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
    for _ in range(5):
        error = await refusal(people.sign_in.with_password("a@example.net", "wrong", "", visit()))
        assert error.reason == Reason.SIGN_IN_FAILED


async def test_an_unknown_user_is_throttled_as_a_known_one(people: People) -> None:
    await people.user()
    told: dict[str, list[bytes]] = {}
    for email, address in (("a@example.net", "192.0.2.1"), ("x@example.net", "192.0.2.2")):
        told[email] = [
            (
                await refusal(
                    people.sign_in.with_password(email, "wrong", "", visit(address=address))
                )
            )
            .status()
            .SerializeToString()
            for _ in range(7)
        ]
    assert told["a@example.net"] == told["x@example.net"]


async def test_people_of_one_office_who_sign_in_rightly_never_wait(people: People) -> None:
    await people.user()
    user, totp, _ = await with_second_factor(people, "b@example.net")
    for _ in range(25):
        people.clock.pass_(seconds=60)
        await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
        await refusal(people.sign_in.with_password(user.email, PASSWORD, "", visit()))
        code = totp.at(people.clock.now)
        await people.sign_in.with_password(user.email, PASSWORD, code, visit())


async def test_who_has_to_wait_leaves_nothing_behind(people: People) -> None:
    """A flood of made-up names from one address does not fill the database."""
    for number in range(60):
        await refusal(people.sign_in.with_password(f"{number}@example.net", "wrong", "", visit()))
    assert await people.failures.count() == 21, "twenty users and the address"


async def test_a_right_password_does_not_make_guessing_the_code_free(people: People) -> None:
    user, _, _ = await with_second_factor(people)
    reasons = [
        (
            await refusal(
                people.own.remove_second_factor(user.id, PASSWORD, "000000", f"192.0.2.{number}")
            )
        ).reason
        for number in range(7)
    ]
    assert reasons == [Reason.SIGN_IN_FAILED] * 5 + [Reason.RATE_LIMITED] * 2


async def test_an_address_that_tries_many_users_is_slowed_down(people: People) -> None:
    reasons = [
        (
            await refusal(
                people.sign_in.with_password(f"{number}@example.net", "wrong", "", visit())
            )
        ).reason
        for number in range(22)
    ]
    assert reasons == [Reason.SIGN_IN_FAILED] * 20 + [Reason.RATE_LIMITED] * 2
    elsewhere = people.sign_in.with_password(
        "0@example.net", "wrong", "", visit(address="192.0.2.9")
    )
    assert (await refusal(elsewhere)).reason == Reason.SIGN_IN_FAILED


# --- The second factor


async def with_second_factor(
    people: People, email: str = "a@example.net"
) -> tuple[User, pyotp.TOTP, list[str]]:
    user = await people.user(email)
    secret, uri = await people.own.begin_second_factor(user.id, PASSWORD, "203.0.113.4")
    assert uri.startswith("otpauth://totp/")
    assert secret in uri
    totp = pyotp.TOTP(secret)
    code = totp.at(people.clock.now)
    return user, totp, await people.own.confirm_second_factor(user.id, code, "203.0.113.4")


async def test_a_factor_is_asked_for_only_after_it_was_confirmed(people: People) -> None:
    user = await people.user()
    await people.own.begin_second_factor(user.id, PASSWORD, "203.0.113.4")
    await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
    wrong = await refusal(people.own.confirm_second_factor(user.id, "000000", "203.0.113.4"))
    assert wrong.reason == Reason.INVALID_REQUEST


async def test_a_code_is_asked_for_from_who_knows_the_password(people: People) -> None:
    await with_second_factor(people)
    error = await refusal(people.sign_in.with_password("a@example.net", PASSWORD, "", visit()))
    assert error.reason == Reason.SECOND_FACTOR_REQUIRED
    error = await refusal(people.sign_in.with_password("a@example.net", "wrong", "", visit()))
    assert error.reason == Reason.SIGN_IN_FAILED


async def test_a_code_is_good_once_and_neither_is_an_older_one(people: People) -> None:
    _, totp, _ = await with_second_factor(people)
    people.clock.pass_(seconds=60)
    code, older = totp.at(people.clock.now), totp.at(people.clock.now, counter_offset=-1)
    await people.sign_in.with_password("a@example.net", PASSWORD, code, visit())
    for each in (code, older, "000000", "", " "):
        error = await refusal(
            people.sign_in.with_password("a@example.net", PASSWORD, each, visit())
        )
        assert error.reason in {Reason.SIGN_IN_FAILED, Reason.SECOND_FACTOR_REQUIRED}


async def test_of_many_at_once_with_one_code_one_gets_in(people: People) -> None:
    _, totp, recovery = await with_second_factor(people)
    user = await people.users.by_email("a@example.net")
    assert user is not None
    people.clock.pass_(seconds=60)
    for code in (totp.at(people.clock.now), recovery[0]):
        used = await asyncio.gather(*(people.second_factor.use(user, code) for _ in range(10)))
        assert used.count(True) == 1


async def test_a_recovery_code_is_good_once_however_it_is_typed(people: People) -> None:
    _, _, recovery = await with_second_factor(people)
    typed = recovery[3].replace("-", " ").upper()
    await people.sign_in.with_password("a@example.net", PASSWORD, typed, visit())
    error = await refusal(
        people.sign_in.with_password("a@example.net", PASSWORD, recovery[3], visit())
    )
    assert error.reason == Reason.SIGN_IN_FAILED


async def test_neither_the_shared_secret_nor_a_recovery_code_is_kept_in_the_clear(
    people: People,
) -> None:
    user, totp, recovery = await with_second_factor(people)
    kept = await people.users.get(user.id)
    assert kept is not None
    assert kept.totp is not None
    assert totp.secret.encode() not in kept.totp
    for code in recovery:
        assert code.replace("-", "") not in "".join(kept.recovery)
    assert kept.password is not None
    assert PASSWORD not in kept.password


async def test_a_factor_is_taken_off_with_password_and_code(people: People) -> None:
    user, _, recovery = await with_second_factor(people)
    for password, code in (("wrong", recovery[0]), (PASSWORD, "000000")):
        error = await refusal(
            people.own.remove_second_factor(user.id, password, code, "203.0.113.4")
        )
        assert error.reason == Reason.SIGN_IN_FAILED
    await people.own.remove_second_factor(user.id, PASSWORD, recovery[0], "203.0.113.4")
    await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())


async def test_a_second_one_is_not_set_up_over_the_first(people: People) -> None:
    user, _, _ = await with_second_factor(people)
    error = await refusal(people.own.begin_second_factor(user.id, PASSWORD, "203.0.113.4"))
    assert error.reason == Reason.ALREADY_EXISTS


# --- The own password


async def test_a_new_password_ends_all_other_sessions(people: People) -> None:
    user = await people.user()
    sessions = [
        (await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())).session
        for _ in range(3)
    ]
    mine = sessions[0].id
    wrong = people.own.change_password(user.id, mine, "wrong", "another password", "203.0.113.4")
    assert (await refusal(wrong)).reason == Reason.SIGN_IN_FAILED
    await people.own.change_password(user.id, mine, PASSWORD, "another password", "203.0.113.4")
    left = [each.id for each in sessions if await people.sessions.get(each.id)]
    assert left == [mine]
    assert sorted(people.forgotten) == sorted(each.id for each in sessions[1:])
    await people.sign_in.with_password("a@example.net", "another password", "", visit())


async def test_what_the_noc_does_to_a_user_ends_the_sessions(people: People) -> None:
    user = await people.user()

    async def session() -> str:
        signed_in = await people.sign_in.with_password("a@example.net", PASSWORD, "", visit())
        return signed_in.session.id

    first = await session()
    await people.manage.end_sessions(user.id)
    assert await people.sessions.record(first) is None
    second = await session()
    await people.manage.update(user.id, Role.READ_ONLY, disabled=None)
    assert await people.sessions.record(second) is None
    third = await session()
    _, password = await people.manage.reset(user.id)
    assert await people.sessions.record(third) is None
    await people.sign_in.with_password("a@example.net", password, "", visit())
    await people.manage.delete(user.id)
    assert (await refusal(people.manage.end_sessions(user.id))).reason == Reason.NOT_FOUND


# --- The OpenID Connect provider


ISSUER = "https://id.example.net"


def identity(
    email: str = "a@example.net", subject: str = "1", *, verified: bool = True
) -> Identity:
    return Identity(ISSUER, subject, email, verified)


async def through_provider(people: People, who: Identity, side: Side = Side.PUBLIC) -> User:
    people.provider.vouches = who
    return (await people.sign_in.with_provider("attempt", "code", "state", visit(side))).user


async def test_a_user_is_found_by_a_verified_address_once_and_then_by_the_subject(
    people: People,
) -> None:
    user = await people.user()
    assert (await through_provider(people, identity())).id == user.id
    moved = identity("other@example.net")
    assert (await through_provider(people, moved)).id == user.id
    error = await refusal(through_provider(people, identity(subject="2")))
    assert error.reason == Reason.SIGN_IN_FAILED, "somebody else with the same address"


@pytest.mark.parametrize(
    "who",
    [
        identity(verified=False),
        identity(""),
        identity("nobody@example.net"),
        identity("staff@example.net"),
    ],
)
async def test_who_is_not_a_user_here_is_not_made_one(people: People, who: Identity) -> None:
    await people.user()
    await people.user("staff@example.net", "noc")
    error = await refusal(through_provider(people, who))
    assert error.reason == Reason.SIGN_IN_FAILED
    assert await people.users.by_email("nobody@example.net") is None


async def test_a_disabled_user_is_not_let_in_by_the_provider(people: People) -> None:
    user = await people.user()
    await through_provider(people, identity())
    await people.manage.update(user.id, None, disabled=True)
    error = await refusal(through_provider(people, identity()))
    assert error.reason == Reason.SIGN_IN_FAILED
