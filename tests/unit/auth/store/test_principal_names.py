import asyncio
from collections.abc import AsyncIterator

import pytest

from services.auth.accounts.account import Account, Kind
from services.auth.accounts.name import PrincipalName
from services.auth.keys.key import ApiKey, NewKey, SecretDigest
from services.auth.keys.key import Audience as KeyAudience
from services.auth.store import MIGRATIONS
from services.auth.store.accounts import SqlAccounts
from services.auth.store.keys import SqlKeys
from services.auth.store.principal_names import SqlPrincipalNames
from services.auth.store.users import SqlUsers
from services.runtime.access import Audience
from services.runtime.database import Database, migrate
from tests.unit.auth.store.test_users import NOW, user

KEY, OTHERS_KEY, NOC_KEY = "a" * 16, "b" * 16, "c" * 16


def key(key_id: str, account: str, audience: KeyAudience = KeyAudience.CUSTOMER) -> NewKey:
    label = f"label of {key_id[0]}"
    made = ApiKey(key_id, audience, account, label, (), (), (), NOW, None, NOW)
    return NewKey(made, SecretDigest(1, b""))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    opened = Database(database_url)
    for account in ("acme", "other"):
        await SqlAccounts(opened).add(Account(account, Kind.CUSTOMER, NOW))
    yield opened
    await opened.close()


async def test_names_are_those_of_the_account_and_nobody_elses(database: Database) -> None:
    keys, users = SqlKeys(database), SqlUsers(database)
    await keys.add(key(KEY, "acme"))
    await keys.add(key(OTHERS_KEY, "other"))
    await keys.add(key(NOC_KEY, "", KeyAudience.NOC))
    mine, others = user(1), user(2, account="other")
    await users.add(mine)
    await users.add(others)
    ids = [KEY, OTHERS_KEY, NOC_KEY, mine.id, others.id, "d" * 16]
    names = SqlPrincipalNames(database)
    found = await names.of("acme", ids)
    assert sorted(found, key=lambda each: each.name) == [
        PrincipalName(KEY, Audience.CUSTOMER, "label of a"),
        PrincipalName(mine.id, Audience.SESSION, mine.email),
    ]
    assert await names.of("acme", []) == []
    assert await names.of("", ids) == []


async def test_who_was_removed_still_has_a_name_and_the_address_is_free(database: Database) -> None:
    users, names = SqlUsers(database), SqlPrincipalNames(database)
    first, second = user(1), user(2, email="user1@example.net")
    await users.add(first)
    assert await users.delete(first.id)
    assert not await users.delete(first.id)
    await users.add(second)
    assert await users.delete(second.id)
    assert {(each.id, each.name) for each in await names.of("acme", [first.id, second.id])} == {
        (first.id, "user1@example.net"),
        (second.id, "user1@example.net"),
    }
    assert await names.of("other", [first.id]) == []
