import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from f2h.access.v1 import principal_pb2
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.key import (
    ApiKey,
    Audience,
    KeyMade,
    KeyRequest,
    NewKey,
    RequestKnown,
    SecretDigest,
    position,
)
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.runtime import access
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError
from services.runtime.policy import Policy

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DIGEST = SecretDigest(3, bytes(range(32)))


def key(number: int, **changes: Any) -> ApiKey:
    return replace(
        ApiKey(
            id=f"{number:016x}",
            audience=Audience.CUSTOMER,
            account="demo",
            label="CI, monitoring",
            capabilities=("ipmi.status", "server.reboot"),
            servers=("ns2.example.net", "ns1.example.net"),
            cidrs=("203.0.113.4/32", "2001:db8::/32"),
            create_time=NOW,
        ),
        **changes,
    )


@pytest.fixture
async def keys(database_url: str) -> AsyncIterator[SqlKeys]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield SqlKeys(database)
    await database.close()


async def revoke(keys: SqlKeys, number: int, time: datetime) -> ApiKey | None:
    return await keys.change(
        key(number).id, lambda found: replace(found, revoke_time=found.revoke_time or time)
    )


async def pages(keys: SqlKeys, size: int) -> list[list[ApiKey]]:
    """Every page of the account, each asked for with the position where the one before ended."""
    found, after = [], ""
    while page := await keys.page("demo", after, size):
        found.append(page)
        after = position(page[-1])
    return found


@pytest.mark.parametrize("end", [None, NOW + timedelta(days=1)])
async def test_what_is_kept_is_what_is_found(keys: SqlKeys, end: datetime | None) -> None:
    kept = key(1, expire_time=end)
    await keys.add(NewKey(kept, DIGEST))
    assert await keys.get(kept.id) == kept
    assert await keys.page("demo", "", 10) == [kept]


async def test_what_is_not_there_is_not_found(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    assert await keys.get(key(2).id) is None
    assert await revoke(keys, 2, NOW) is None
    assert await keys.record(key(2).id) is None
    assert await keys.policy(bytes(32)) is None
    assert await keys.page("other", "", 10) == []


async def test_the_check_finds_what_it_has_to_know(keys: SqlKeys) -> None:
    kept = key(1, expire_time=NOW + timedelta(days=1))
    await keys.add(NewKey(kept, DIGEST))
    record = await keys.record(kept.id)
    assert record is not None
    assert (record.id, record.audience, record.account) == (
        kept.id,
        access.Audience.CUSTOMER,
        "demo",
    )
    assert (record.pepper, record.digest) == (DIGEST.pepper, DIGEST.digest)
    assert record.capabilities == frozenset(kept.capabilities)
    assert record.cidrs == kept.cidrs
    assert record.policy_digest == kept.policy().digest()
    assert record.expire_time == kept.expire_time
    assert not record.revoked


async def test_a_policy_is_found_by_its_digest(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    policy = key(1).policy()
    content = await keys.policy(policy.digest())
    assert content == policy.encode()
    message = principal_pb2.Policy.FromString(content)
    assert Policy.decode(message).digest() == policy.digest()


async def test_keys_with_the_same_policy_share_it(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    await keys.add(NewKey(key(2, servers=("ns1.example.net", "ns2.example.net")), DIGEST))
    first, second = await keys.record(key(1).id), await keys.record(key(2).id)
    assert first is not None
    assert second is not None
    assert first.policy_digest == second.policy_digest


async def test_keys_with_the_same_policy_can_be_made_at_once(keys: SqlKeys) -> None:
    made = [key(number) for number in range(40)]
    results = await asyncio.gather(
        *(keys.add(NewKey(each, DIGEST)) for each in made), return_exceptions=True
    )
    assert [result for result in results if result is not None] == []
    assert len(await keys.page("demo", "", 100)) == 40


async def test_a_key_id_is_given_once(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    with pytest.raises(ApiError) as refused:
        await keys.add(NewKey(key(1, account="other"), DIGEST))
    assert refused.value.reason == Reason.ALREADY_EXISTS
    assert await keys.page("other", "", 10) == []


# --- Revoking


async def test_a_revoked_key_says_since_when(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    await keys.add(NewKey(key(2), DIGEST))
    later = NOW + timedelta(hours=1)
    assert await revoke(keys, 1, later) == key(1, revoke_time=later)
    assert await keys.get(key(1).id) == key(1, revoke_time=later)
    record = await keys.record(key(1).id)
    assert record is not None
    assert record.revoked
    assert await keys.get(key(2).id) == key(2)


async def test_revoking_again_changes_nothing(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    first = await revoke(keys, 1, NOW)
    assert await revoke(keys, 1, NOW + timedelta(days=1)) == first
    assert await keys.get(key(1).id) == first


async def test_revoking_many_times_at_once_gives_one_time(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    times = [NOW + timedelta(seconds=number) for number in range(20)]
    answers = await asyncio.gather(*(revoke(keys, 1, time) for time in times))
    kept = await keys.get(key(1).id)
    assert kept is not None
    assert {answer.revoke_time for answer in answers if answer} == {kept.revoke_time}


# --- NOC keys


async def test_a_noc_key_is_for_the_check_only(keys: SqlKeys) -> None:
    noc = key(1, audience=Audience.NOC, account="", capabilities=(), servers=(), cidrs=())
    await keys.add(NewKey(noc, DIGEST))
    await keys.add(NewKey(key(2, audience=Audience.NOC), DIGEST))
    for account in ("", "demo"):
        assert await keys.page(account, "", 10) == []
    for number in (1, 2):
        assert await keys.get(key(number).id) is None
        assert await revoke(keys, number, NOW) is None
        record = await keys.record(key(number).id)
        assert record is not None
        assert record.audience == access.Audience.NOC
        assert not record.revoked


# --- Pages


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_all_pages_together_are_all_keys_newest_first(keys: SqlKeys, size: int) -> None:
    # Numbers in an order that is neither that of the ids nor that of the times, three keys a time.
    made = [
        key((number * 7) % 20, create_time=NOW + timedelta(microseconds=(number * 3) % 20 // 3))
        for number in range(20)
    ]
    for each in made:
        await keys.add(NewKey(each, DIGEST))
        await keys.add(NewKey(replace(each, id=each.id[::-1] + "f", account="other"), DIGEST))
    found = await pages(keys, size)
    assert all(len(page) == size for page in found[:-1])
    together = [each for page in found for each in page]
    newest = sorted(made, key=lambda each: (each.create_time, each.id), reverse=True)
    assert together == newest


async def test_times_that_differ_by_zero_microseconds_are_paged(keys: SqlKeys) -> None:
    """A time on the full second is written without a fraction, and is a time like others."""
    made = [
        key(number, create_time=NOW.replace(microsecond=0) + timedelta(microseconds=number))
        for number in range(3)
    ]
    for each in made:
        await keys.add(NewKey(each, DIGEST))
    assert [each for page in await pages(keys, 1) for each in page] == made[::-1]


@pytest.mark.parametrize("age", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
async def test_a_key_made_between_two_pages_neither_hides_nor_doubles_another(
    keys: SqlKeys, age: timedelta
) -> None:
    made = [key(number, create_time=NOW + timedelta(minutes=number)) for number in range(10, 16)]
    for each in made:
        await keys.add(NewKey(each, DIGEST))
    first = await keys.page("demo", "", 3)
    await keys.add(NewKey(key(99, create_time=first[-1].create_time + age), DIGEST))
    rest = await keys.page("demo", position(first[-1]), 100)
    assert [each for each in first + rest if each.id != key(99).id] == made[::-1]


async def test_a_position_whose_key_is_gone_is_still_a_position(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    gone = key(5, create_time=NOW + timedelta(seconds=1))
    assert await keys.page("demo", position(gone), 10) == [key(1)]


async def test_a_certificate_is_known_by_its_name_and_names_one_service(keys: SqlKeys) -> None:
    name = "spiffe://f2hcloud/noc/billing"
    noc = key(1, audience=Audience.NOC, account="", capabilities=(), servers=(), cidrs=())
    await keys.add(NewKey(noc, DIGEST, name))
    found = await keys.certified(name)
    assert found is not None
    assert found.id == noc.id
    assert await keys.certified("spiffe://f2hcloud/noc/other") is None
    assert await keys.certified("") is None
    with pytest.raises(ApiError) as refused:
        await keys.add(NewKey(replace(noc, id=key(2).id), DIGEST, name))
    assert refused.value.reason == Reason.ALREADY_EXISTS


# --- Once


def asked(number: int, **changes: Any) -> NewKey:
    """The request "again" of one caller, as if it made this key."""
    request = replace(KeyRequest("a" * 16, "again", bytes(32)), **changes)
    return NewKey(key(number), DIGEST, request=request)


async def test_a_request_is_known_by_what_it_made(keys: SqlKeys) -> None:
    await keys.add(asked(1))
    assert await keys.made("a" * 16, "again") == KeyMade(key(1).id, bytes(32))
    assert await keys.made("b" * 16, "again") is None
    assert await keys.made("a" * 16, "other") is None


async def test_a_request_makes_one_key_however_often_it_comes_at_once(keys: SqlKeys) -> None:
    results = await asyncio.gather(
        *(keys.add(asked(number)) for number in range(1, 21)), return_exceptions=True
    )
    assert [type(each) for each in results if each is not None] == [RequestKnown] * 19
    [made] = await keys.page("demo", "", 100)
    assert await keys.made("a" * 16, "again") == KeyMade(made.id, bytes(32))


async def test_others_may_have_the_same_id(keys: SqlKeys) -> None:
    for number, caller in enumerate("abc", 1):
        await keys.add(asked(number, caller=caller * 16))
    assert len(await keys.page("demo", "", 100)) == 3


async def test_a_successor_that_was_made_leaves_the_other_key_as_it_is(keys: SqlKeys) -> None:
    await keys.add(asked(1))
    await keys.add(NewKey(key(2), DIGEST))
    with pytest.raises(RequestKnown):
        await keys.change(
            key(2).id, lambda found: replace(found, label="new"), successor=lambda _: asked(3)
        )
    assert await keys.get(key(2).id) == key(2)
    assert await keys.get(key(3).id) is None


async def test_a_request_is_known_for_a_day(keys: SqlKeys) -> None:
    await keys.add(asked(1))
    await keys.forget_old(NOW + timedelta(days=1))
    assert await keys.made("a" * 16, "again") is not None
    await keys.forget_old(NOW + timedelta(days=1, microseconds=1))
    assert await keys.made("a" * 16, "again") is None
    assert await keys.get(key(1).id) == key(1)


# --- Changing


async def test_a_change_that_is_refused_leaves_everything_as_it_was(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))

    def refuse(_key: ApiKey) -> ApiKey:
        raise ApiError(Reason.KEY_NOT_ACTIVE, "no")

    with pytest.raises(ApiError):
        await keys.change(key(1).id, refuse)
    assert await keys.get(key(1).id) == key(1)


async def test_a_change_of_rights_is_a_change_of_policy(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    narrow = key(1, capabilities=("server.reboot",), cidrs=())
    assert await keys.change(key(1).id, lambda _: narrow) == narrow
    record = await keys.record(key(1).id)
    assert record is not None
    assert (record.capabilities, record.cidrs) == (frozenset({"server.reboot"}), ())
    assert await keys.policy(record.policy_digest) == narrow.policy().encode()


async def test_a_key_is_replaced_once_however_many_try(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))

    async def rotate(number: int) -> ApiKey | None:
        def retired(found: ApiKey) -> ApiKey:
            if found.replaced_by:
                raise ApiError(Reason.KEY_NOT_ACTIVE, "rotated")
            return replace(found, replaced_by=key(number).id)

        def successor(found: ApiKey) -> NewKey:
            return NewKey(replace(found, id=key(number).id, replaces=found.id), DIGEST)

        return await keys.change(key(1).id, retired, successor=successor)

    answers = await asyncio.gather(*map(rotate, range(2, 12)), return_exceptions=True)
    assert len([each for each in answers if isinstance(each, ApiKey)]) == 1
    old, new = sorted(await keys.page("demo", "", 100), key=lambda each: each.id)
    assert (old.replaced_by, new.replaces) == (new.id, old.id)


async def test_a_digest_moves_to_another_pepper_once(keys: SqlKeys) -> None:
    await keys.add(NewKey(key(1), DIGEST))
    await keys.add(NewKey(key(2, expire_time=NOW), DIGEST))
    assert await keys.digested_with(DIGEST.pepper, NOW) == 1
    new = SecretDigest(4, bytes(32))
    await keys.redigest(key(1).id, DIGEST, new)
    await keys.redigest(key(1).id, DIGEST, SecretDigest(5, bytes(32)))
    record = await keys.record(key(1).id)
    assert record is not None
    assert (record.pepper, record.digest) == (4, bytes(32))
    assert await keys.digested_with(DIGEST.pepper, NOW) == 0
