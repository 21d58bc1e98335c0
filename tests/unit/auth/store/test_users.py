import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.auth.accounts.account import Account, Kind
from services.auth.accounts.user import User
from services.auth.keys.key import SecretDigest
from services.auth.sessions.session import Session
from services.auth.store import MIGRATIONS
from services.auth.store.accounts import SqlAccounts
from services.auth.store.sessions import SqlSessions
from services.auth.store.users import SqlUsers
from services.runtime.access import Role
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def user(number: int, **changes: Any) -> User:
    return replace(
        User(
            id=f"{number:016x}",
            account="acme",
            kind=Kind.CUSTOMER,
            email=f"user{number}@example.net",
            role=Role.MEMBER,
            create_time=NOW,
            password="$argon2id$made-up",
        ),
        **changes,
    )


EVERYTHING: dict[str, Any] = {
    "role": Role.OWNER,
    "disabled": True,
    "password": None,
    "totp": bytes(range(40)),
    "totp_confirmed": True,
    "totp_step": 2**33,
    "recovery": ("1:00ff", "2:ff00"),
    "oidc": ("https://id.example.net", "subject"),
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    opened = Database(database_url)
    accounts = SqlAccounts(opened)
    await accounts.add(Account("acme", Kind.CUSTOMER, NOW))
    await accounts.add(Account("noc", Kind.NOC, NOW))
    yield opened
    await opened.close()


@pytest.fixture
def users(database: Database) -> SqlUsers:
    return SqlUsers(database)


@pytest.mark.parametrize("changes", [{}, EVERYTHING, {"account": "noc", "kind": Kind.NOC}])
async def test_what_is_kept_is_what_is_found(users: SqlUsers, changes: dict[str, Any]) -> None:
    kept = user(1, **changes)
    await users.add(kept)
    assert await users.get(kept.id) == kept
    assert await users.by_email(kept.email) == kept
    assert await users.page(kept.account, "", 10) == [kept]
    if kept.oidc:
        assert await users.by_oidc(*kept.oidc) == kept


async def test_what_is_not_there_is_not_found(users: SqlUsers) -> None:
    await users.add(user(1))
    assert await users.get(user(2).id) is None
    assert await users.by_email(user(2).email) is None
    assert await users.by_oidc("", "") is None
    assert await users.page("noc", "", 10) == []
    assert await users.change(user(2).id, lambda found: found) is None
    assert not await users.delete(user(2).id)


async def test_of_many_with_one_address_one_is_made(users: SqlUsers) -> None:
    made = await asyncio.gather(
        *(users.add(user(number, email="a@example.net")) for number in range(5)),
        return_exceptions=True,
    )
    refused = [each for each in made if each is not None]
    assert len(refused) == 4
    for each in refused:
        assert isinstance(each, ApiError)
        assert each.reason == Reason.ALREADY_EXISTS
        assert each.metadata == {"resource": "a@example.net"}


async def test_a_change_is_kept_whole(users: SqlUsers) -> None:
    await users.add(user(1))
    changed = await users.change(user(1).id, lambda found: replace(found, **EVERYTHING))
    assert changed == user(1, **EVERYTHING)
    assert await users.get(user(1).id) == changed
    await users.change(user(1).id, lambda found: replace(found, recovery=(), oidc=None))
    assert await users.get(user(1).id) == replace(user(1, **EVERYTHING), recovery=(), oidc=None)


async def test_what_a_change_raises_leaves_everything_as_it_was(users: SqlUsers) -> None:
    await users.add(user(1))

    def refuse(_found: User) -> User:
        raise ApiError(Reason.NOT_SET_UP, "no")

    with pytest.raises(ApiError):
        await users.change(user(1).id, refuse)
    assert await users.get(user(1).id) == user(1)


async def test_changes_at_once_see_one_another(users: SqlUsers) -> None:
    await users.add(user(1))

    def counted(found: User) -> User:
        return replace(found, totp_step=found.totp_step + 1)

    await asyncio.gather(*(users.change(user(1).id, counted) for _ in range(20)))
    kept = await users.get(user(1).id)
    assert kept is not None
    assert kept.totp_step == 20


async def test_one_step_and_one_recovery_code_are_used_by_one_in_all_processes(
    users: SqlUsers, database_url: str
) -> None:
    await users.add(user(1, totp=b"sealed", totp_confirmed=True, recovery=("1:aa", "1:bb")))
    other = Database(database_url)
    used = []

    def use_step(found: User) -> User:
        if found.totp_step < 7:
            used.append("step")
        return replace(found, totp_step=7)

    def use_code(found: User) -> User:
        if "1:aa" in found.recovery:
            used.append("code")
        return replace(found, recovery=tuple(each for each in found.recovery if each != "1:aa"))

    work = [
        each.change(user(1).id, use)
        for each in (users, SqlUsers(other)) * 5
        for use in (use_step, use_code)
    ]
    await asyncio.gather(*work)
    await other.close()
    assert sorted(used) == ["code", "step"]
    kept = await users.get(user(1).id)
    assert kept is not None
    assert kept.recovery == ("1:bb",)


async def test_a_page_goes_on_where_the_one_before_ended_and_has_one_account(
    users: SqlUsers,
) -> None:
    for number in (4, 2, 5, 1, 3):
        await users.add(user(number))
    await users.add(user(6, account="noc", kind=Kind.NOC))
    found, after = [], ""
    while page := await users.page("acme", after, 2):
        found += [each.email for each in page]
        after = page[-1].email
    assert found == [user(number).email for number in range(1, 6)]


async def test_who_is_removed_takes_the_sessions_along(database: Database, users: SqlUsers) -> None:
    sessions = SqlSessions(database)
    for number in (1, 2):
        await users.add(user(number))
        kept = Session(f"{number:016x}", user(number).id, NOW, NOW, NOW)
        await sessions.add(kept, SecretDigest(1, bytes(32)))
    assert await users.delete(user(1).id)
    assert not await users.delete(user(1).id)
    assert await users.get(user(1).id) is None
    assert await sessions.get(f"{1:016x}") is None
    assert await sessions.get(f"{2:016x}") is not None


async def test_it_is_known_which_peppers_recovery_codes_need(users: SqlUsers) -> None:
    await users.add(user(1, recovery=("1:aa", "12:bb")))
    await users.add(user(2, recovery=("12:cc",)))
    await users.add(user(3))
    assert [await users.recovery_codes_with(pepper) for pepper in (1, 2, 12)] == [1, 0, 2]
