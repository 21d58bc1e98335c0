from datetime import datetime, timedelta

from services.auth.keys.digests import Digests
from services.auth.keys.ring import Dated, KeyRing
from tests.unit.auth.rings import EPOCH, NOW


class Time:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_a_new_key_is_known_before_it_is_used() -> None:
    clock = Time()
    ring = KeyRing({1: Dated(b"old", EPOCH), 2: Dated(b"new", NOW + timedelta(hours=1))}, clock)
    assert (ring.in_use, ring.get(2)) == (1, b"new")
    clock.now += timedelta(hours=1)
    assert (ring.in_use, ring.get(1)) == (2, b"old")


def test_the_only_key_is_used_even_before_its_time() -> None:
    assert KeyRing({4: Dated(b"only", NOW + timedelta(hours=1))}, lambda: NOW).in_use == 4


def test_processes_that_restarted_in_any_order_understand_one_another() -> None:
    """One knows the new pepper, the other does not yet: what each makes, the other takes."""
    clock = Time()
    soon = NOW + timedelta(hours=1)
    before = Digests(KeyRing({1: Dated(b"a" * 32, EPOCH)}, clock))
    after = Digests(KeyRing({1: Dated(b"a" * 32, EPOCH), 2: Dated(b"b" * 32, soon)}, clock))
    for maker, taker in ((before, after), (after, before)):
        assert taker.matches("secret", maker.in_use, maker.digest("secret", maker.in_use))
