from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from argon2 import PasswordHasher
from f2h.access.v1.reason_pb2 import Reason

from services.auth.accounts.account import Account, Kind
from services.auth.accounts.manage import ManageAccounts, ManageUsers
from services.auth.accounts.user import User
from services.auth.keys.key import SecretDigest
from services.auth.sessions.session import EndSessions, Session
from services.auth.sign_in.passwords import Passwords
from services.runtime.access import Role
from services.runtime.errors import ApiError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSWORD = "correct horse battery"


class KeptAccounts:
    """Implements Accounts, in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Account] = {}

    async def add(self, account: Account) -> None:
        if account.id in self._kept:
            raise ApiError(Reason.ALREADY_EXISTS, "there is one")
        self._kept[account.id] = account

    async def get(self, account_id: str) -> Account | None:
        return self._kept.get(account_id)

    async def page(self, after: str, limit: int) -> list[Account]:
        return [each for name, each in sorted(self._kept.items()) if name > after][:limit]


class KeptUsers:
    """Implements Users, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, User] = {}

    async def add(self, user: User) -> None:
        if await self.by_email(user.email):
            raise ApiError(Reason.ALREADY_EXISTS, "there is one")
        self.kept[user.id] = user

    async def get(self, user_id: str) -> User | None:
        return self.kept.get(user_id)

    async def by_email(self, email: str) -> User | None:
        return next((each for each in self.kept.values() if each.email == email), None)

    async def by_oidc(self, issuer: str, subject: str) -> User | None:
        return next((each for each in self.kept.values() if each.oidc == (issuer, subject)), None)

    async def page(self, account: str, after: str, limit: int) -> list[User]:
        found = [each for each in self.kept.values() if each.account == account]
        return sorted((each for each in found if each.email > after), key=lambda each: each.email)[
            :limit
        ]

    async def change(self, user_id: str, change: Callable[[User], User]) -> User | None:
        if user_id not in self.kept:
            return None
        self.kept[user_id] = change(self.kept[user_id])
        return self.kept[user_id]

    async def delete(self, user_id: str) -> bool:
        return self.kept.pop(user_id, None) is not None


class KeptSessions:
    """Implements Sessions, in memory; every user has one that is named for the user."""

    async def add(self, session: Session, digest: SecretDigest) -> None:
        raise NotImplementedError

    async def get(self, session_id: str) -> Session | None:
        raise NotImplementedError

    async def end(self, session_id: str) -> None:
        raise NotImplementedError

    async def end_all(self, user_id: str, except_for: str) -> list[str]:
        return [f"session of {user_id}"]


class Office:
    """The NOC's desk."""

    def __init__(self) -> None:
        self.users = KeptUsers()
        self.ended: list[str] = []
        self.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        accounts, numbers = KeptAccounts(), count(1)
        self.manage_accounts = ManageAccounts(accounts, lambda: NOW)
        self.manage = ManageUsers(
            accounts,
            self.users,
            self.passwords,
            EndSessions(KeptSessions(), self.ended.append),
            lambda: NOW,
            new_id=lambda: f"{next(numbers):016x}",
        )


@pytest.fixture
async def office() -> Office:
    made = Office()
    await made.manage_accounts.create("acme", Kind.CUSTOMER)
    await made.manage_accounts.create("noc", Kind.NOC)
    return made


async def refusal(work: Awaitable[Any]) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await work
    return refused.value


async def test_an_account_is_made_once(office: Office) -> None:
    error = await refusal(office.manage_accounts.create("acme", Kind.NOC))
    assert error.reason == Reason.ALREADY_EXISTS


async def test_a_new_user_has_the_chosen_password_which_is_not_told_again(office: Office) -> None:
    user, told = await office.manage.create("acme", "A@Example.NET", Role.OWNER, PASSWORD)
    assert told == ""
    assert replace(user, password=None) == User(
        f"{1:016x}", "acme", Kind.CUSTOMER, "a@example.net", Role.OWNER, NOW
    )
    assert office.users.kept == {user.id: user}
    assert await office.passwords.verify(user.password, PASSWORD)


async def test_a_password_that_is_made_is_told_and_another_each_time(office: Office) -> None:
    made = [await office.manage.create("noc", f"{each}@x.net", Role.MEMBER) for each in "ab"]
    for user, told in made:
        assert len(told) >= 24
        assert user.kind == Kind.NOC
        assert await office.passwords.verify(user.password, told)
    assert made[0][1] != made[1][1]


async def test_an_unknown_account_is_named(office: Office) -> None:
    error = await refusal(office.manage.create("acne", "a@example.net", Role.MEMBER))
    assert error.reason == Reason.INVALID_REQUEST
    assert [each.field for each in error.violations] == ["account"]
    assert "acne" in error.message
    assert office.users.kept == {}


async def test_an_address_that_somebody_has_is_refused_in_whatever_case(office: Office) -> None:
    await office.manage.create("acme", "a@example.net", Role.MEMBER)
    error = await refusal(office.manage.create("noc", "A@EXAMPLE.net", Role.MEMBER))
    assert error.reason == Reason.ALREADY_EXISTS


async def test_a_change_changes_what_is_said_and_ends_the_sessions(office: Office) -> None:
    user, _ = await office.manage.create("acme", "a@example.net", Role.MEMBER)
    assert await office.manage.update(user.id, Role.OWNER, disabled=None) == replace(
        user, role=Role.OWNER
    )
    assert await office.manage.update(user.id, None, disabled=True) == replace(
        user, role=Role.OWNER, disabled=True
    )
    assert not (await office.manage.update(user.id, None, disabled=False)).disabled
    assert office.ended == [f"session of {user.id}"] * 3


async def test_a_reset_leaves_nothing_else_to_sign_in_with(office: Office) -> None:
    user, _ = await office.manage.create("acme", "a@example.net", Role.MEMBER, PASSWORD)
    office.users.kept[user.id] = replace(
        user, totp=b"sealed", totp_confirmed=True, recovery=("1:aa",), oidc=("issuer", "subject")
    )
    found, told = await office.manage.reset(user.id)
    assert replace(found, password=user.password) == user
    assert await office.passwords.verify(found.password, told)
    assert not await office.passwords.verify(found.password, PASSWORD)
    assert office.ended == [f"session of {user.id}"]


async def test_a_reset_does_not_let_in_again_who_may_not_sign_in(office: Office) -> None:
    user, _ = await office.manage.create("acme", "a@example.net", Role.MEMBER)
    await office.manage.update(user.id, None, disabled=True)
    found, _ = await office.manage.reset(user.id)
    assert found.disabled


async def test_who_is_removed_is_gone_with_the_sessions(office: Office) -> None:
    user, _ = await office.manage.create("acme", "a@example.net", Role.MEMBER)
    await office.manage.delete(user.id)
    assert office.users.kept == {}
    assert office.ended == [f"session of {user.id}"]


async def test_what_is_done_to_nobody_is_not_found(office: Office) -> None:
    nobody = "0" * 16
    for work in (
        office.manage.update(nobody, Role.OWNER, disabled=None),
        office.manage.reset(nobody),
        office.manage.end_sessions(nobody),
        office.manage.delete(nobody),
    ):
        error = await refusal(work)
        assert error.reason == Reason.NOT_FOUND
        assert nobody in error.message
