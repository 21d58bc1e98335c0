import asyncio
import hashlib
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.policy import Policy, PolicyCache

names = st.text(max_size=8)


@given(st.lists(names), st.lists(names), st.randoms())
def test_a_digest_does_not_depend_on_order_or_repetition(
    capabilities: list[str], servers: list[str], random: Random
) -> None:
    digest = Policy(capabilities, servers).digest()
    mixed = [*capabilities, *capabilities[:2]], [*servers, *servers[:2]]
    for each in mixed:
        random.shuffle(each)
    assert Policy(*mixed).digest() == digest


@given(st.sets(names), st.sets(names), st.sets(names), st.sets(names))
def test_two_policies_have_one_digest_only_when_they_are_the_same(
    capabilities: set[str], servers: set[str], other: set[str], others: set[str]
) -> None:
    same = (capabilities, servers) == (other, others)
    assert (Policy(capabilities, servers).digest() == Policy(other, others).digest()) == same


def test_the_digest_is_the_hash_of_the_canonical_form() -> None:
    policy = Policy(["server.reboot"], ["ns1.example.net"])
    assert policy.encode() == b"\n\rserver.reboot\x12\x0fns1.example.net"
    assert policy.digest() == hashlib.sha256(policy.encode()).digest()


POLICY = Policy(["server.reboot"], ["ns1.example.net"])


async def test_a_policy_is_fetched_once_with_the_first_principal_that_names_it() -> None:
    fetched = []

    async def fetch(digest: bytes, header: str) -> Policy:
        fetched.append((digest, header))
        return POLICY

    cache = PolicyCache(fetch)
    assert [await cache.get(POLICY.digest(), name) for name in "abc"] == [POLICY] * 3
    await cache.get(bytes(32), "d")
    assert fetched == [(POLICY.digest(), "a"), (bytes(32), "d")]


async def test_a_policy_that_could_not_be_fetched_is_asked_for_again() -> None:
    answers: Iterator[Exception | Policy] = iter([ConnectionError(), POLICY])

    async def fetch(_digest: bytes, _header: str) -> Policy:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = PolicyCache(fetch)
    with pytest.raises(ConnectionError):
        await cache.get(POLICY.digest(), "")
    assert await cache.get(POLICY.digest(), "") == POLICY


async def test_who_asks_at_once_gets_the_same_policy() -> None:
    async def fetch(_digest: bytes, _header: str) -> Policy:
        await asyncio.sleep(0)
        return Policy(POLICY.capabilities, POLICY.servers)

    cache = PolicyCache(fetch)
    found = await asyncio.gather(*(cache.get(POLICY.digest(), "") for _ in range(10)))
    assert {policy.digest() for policy in found} == {POLICY.digest()}
