import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.auth.accounts.account import Account, Kind
from services.auth.store import MIGRATIONS
from services.auth.store.accounts import SqlAccounts
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
async def accounts(database_url: str) -> AsyncIterator[SqlAccounts]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield SqlAccounts(database)
    await database.close()


@pytest.mark.parametrize("kind", Kind)
async def test_what_is_kept_is_what_is_found(accounts: SqlAccounts, kind: Kind) -> None:
    kept = Account("acme", kind, NOW)
    await accounts.add(kept)
    assert await accounts.get("acme") == kept
    assert await accounts.exists("acme")
    assert await accounts.page("", 10) == [kept]


async def test_what_is_not_there_is_not_found(accounts: SqlAccounts) -> None:
    assert await accounts.get("acme") is None
    assert not await accounts.exists("acme")
    assert await accounts.page("", 10) == []


async def test_of_many_that_make_one_account_one_does(accounts: SqlAccounts) -> None:
    made = await asyncio.gather(
        *(accounts.add(Account("acme", Kind.CUSTOMER, NOW)) for _ in range(5)),
        return_exceptions=True,
    )
    refused = [each for each in made if each is not None]
    assert len(refused) == 4
    for each in refused:
        assert isinstance(each, ApiError)
        assert (each.reason, each.metadata) == (Reason.ALREADY_EXISTS, {"resource": "acme"})


async def test_a_page_goes_on_where_the_one_before_ended(accounts: SqlAccounts) -> None:
    names = ["a", "a-b", "a1", "b", "b2"]
    for name in reversed(names):
        await accounts.add(Account(name, Kind.CUSTOMER, NOW))
    found, after = [], ""
    while page := await accounts.page(after, 2):
        found += [each.id for each in page]
        after = page[-1].id
    assert sorted(found) == names
    assert len(found) == len(names)
