import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.auth.accounts.account import Account, Kind
from services.auth.accounts.user import User
from services.auth.check.records import SessionRecord
from services.auth.keys.key import SecretDigest
from services.auth.sessions.session import Session
from services.auth.store import MIGRATIONS
from services.auth.store.accounts import SqlAccounts
from services.auth.store.sessions import SqlSessions
from services.auth.store.users import SqlUsers
from services.runtime.access import Audience, Role
from services.runtime.database import Database, migrate

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
END = NOW + timedelta(hours=12)
DIGEST = SecretDigest(3, bytes(range(32)))
PERSON, COLLEAGUE, STAFF = (f"{number:016x}" for number in (1, 2, 3))


def session(number: int, user: str = PERSON, end: datetime = END) -> Session:
    return Session(f"{number:016x}", user, NOW, NOW, end)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    opened = Database(database_url)
    accounts, users = SqlAccounts(opened), SqlUsers(opened)
    for account, kind, people in (
        ("acme", Kind.CUSTOMER, (PERSON, COLLEAGUE)),
        ("noc", Kind.NOC, (STAFF,)),
    ):
        await accounts.add(Account(account, kind, NOW))
        for each in people:
            await users.add(User(each, account, kind, f"{each}@example.net", Role.MEMBER, NOW))
    yield opened
    await opened.close()


@pytest.fixture
def sessions(database: Database) -> SqlSessions:
    return SqlSessions(database)


async def test_what_is_kept_is_what_is_found_until_it_is_ended(sessions: SqlSessions) -> None:
    await sessions.add(session(1), DIGEST)
    assert await sessions.get(session(1).id) == session(1)
    assert await sessions.get(session(2).id) is None
    await sessions.end(session(2).id)
    assert await sessions.get(session(1).id) == session(1)
    await sessions.end(session(1).id)
    assert await sessions.get(session(1).id) is None
    assert await sessions.record(session(1).id) is None


@pytest.mark.parametrize(
    ("user", "account", "audience"),
    [(PERSON, "acme", Audience.SESSION), (STAFF, "noc", Audience.STAFF)],
)
async def test_the_check_finds_what_it_has_to_know(
    sessions: SqlSessions, user: str, account: str, audience: int
) -> None:
    await sessions.add(session(1, user), DIGEST)
    assert await sessions.record(session(1).id) == SessionRecord(
        id=session(1).id,
        user=user,
        account=account,
        audience=audience,
        role=Role.MEMBER,
        pepper=DIGEST.pepper,
        digest=DIGEST.digest,
        last_used_time=NOW,
        expire_time=END,
    )


async def test_the_check_finds_nobody_who_may_not_sign_in(
    database: Database, sessions: SqlSessions
) -> None:
    await sessions.add(session(1), DIGEST)
    users = SqlUsers(database)
    await users.change(PERSON, lambda found: replace(found, role=Role.READ_ONLY))
    record = await sessions.record(session(1).id)
    assert record is not None
    assert record.role == Role.READ_ONLY, "as the user is now"
    await users.change(PERSON, lambda found: replace(found, disabled=True))
    assert await sessions.record(session(1).id) is None


async def test_all_of_a_user_end_but_for_one_and_nobody_elses(sessions: SqlSessions) -> None:
    for number in (1, 2, 3):
        await sessions.add(session(number), DIGEST)
    await sessions.add(session(4, COLLEAGUE), DIGEST)
    assert sorted(await sessions.end_all(PERSON, session(2).id)) == [session(1).id, session(3).id]
    assert await sessions.end_all(PERSON, "") == [session(2).id]
    assert await sessions.end_all(PERSON, "") == []
    assert await sessions.get(session(4).id) is not None


async def test_use_is_noted_and_time_does_not_go_back(sessions: SqlSessions) -> None:
    await sessions.add(session(1), DIGEST)
    later = NOW + timedelta(minutes=5)
    for time in (later, NOW):
        await sessions.touch(session(1).id, time)
        record = await sessions.record(session(1).id)
        assert record is not None
        assert record.last_used_time == later
    await sessions.touch(session(2).id, later)


async def test_only_what_has_ended_is_removed(sessions: SqlSessions) -> None:
    await sessions.add(session(1), DIGEST)
    await sessions.add(session(2, end=END + timedelta(seconds=1)), DIGEST)
    await sessions.forget_old(END)
    assert await sessions.get(session(1).id) is None
    assert await sessions.get(session(2).id) is not None


async def test_it_is_known_which_peppers_sessions_need(sessions: SqlSessions) -> None:
    await sessions.add(session(1), DIGEST)
    await sessions.add(session(2), SecretDigest(4, bytes(32)))
    assert [await sessions.digested_with(pepper, NOW) for pepper in (3, 4, 5)] == [1, 1, 0]
    assert await sessions.digested_with(3, END) == 0
