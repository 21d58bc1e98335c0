from dataclasses import replace
from datetime import timedelta

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.key import ApiKey, Owned
from services.auth.keys.warnings import Warning as Risk
from services.auth.keys.warnings import servers_of, warnings
from services.runtime.errors import ApiError
from tests.unit.auth.keys.test_update import KEY, NOW

SAFE = replace(KEY, expire_time=NOW + timedelta(days=200))
SOME = Owned(frozenset(KEY.servers), 3)
ALL = Owned(frozenset(KEY.servers), 2)


@pytest.mark.parametrize(
    ("key", "owned", "later", "risks"),
    [
        (SAFE, SOME, 0, []),
        (replace(SAFE, expire_time=None), SOME, 0, [Risk.NO_EXPIRY]),
        (replace(SAFE, cidrs=()), SOME, 0, [Risk.NO_CIDR]),
        (SAFE, SOME, 89, []),
        (SAFE, SOME, 90, [Risk.UNUSED_90_DAYS]),
        (replace(SAFE, last_used_at=NOW + timedelta(days=1)), SOME, 90, []),
        (SAFE, ALL, 0, [Risk.ALL_SERVERS]),
        (SAFE, Owned(frozenset({"ns1.example.net"}), 1), 0, []),
        (SAFE, None, 0, []),
        (replace(SAFE, cidrs=(), revoke_time=NOW), ALL, 0, []),
        (replace(SAFE, cidrs=()), ALL, 200, []),
    ],
)
def test_a_key_is_warned_of(
    key: ApiKey, owned: Owned | None, later: int, risks: list[Risk]
) -> None:
    assert warnings(key, NOW + timedelta(days=later), owned) == risks


class Inventory:
    """Owns every server that ends in .net; answers no more than it is asked to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers = True

    async def owned(self, _account: str, hostnames: list[str]) -> Owned:
        if not self.answers:
            raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no answer")
        self.asked.append(len(hostnames))
        return Owned(frozenset(name for name in hostnames if name.endswith(".net")), 2500)


async def test_the_inventory_is_asked_in_portions_that_it_takes() -> None:
    servers = tuple(f"ns{number}.example.net" for number in range(2500))
    inventory = Inventory()
    owned = await servers_of([replace(KEY, servers=servers)], "demo", inventory)
    assert owned == Owned(frozenset(servers), 2500)
    assert inventory.asked == [1000, 1000, 500]


async def test_keys_are_shown_while_the_inventory_does_not_answer() -> None:
    inventory = Inventory()
    inventory.answers = False
    assert await servers_of([KEY], "demo", inventory) is None
