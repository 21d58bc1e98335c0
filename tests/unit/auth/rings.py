"""Key rings of tests: every key in use from the beginning of time."""

from collections.abc import Mapping
from datetime import UTC, datetime

from services.auth.keys.digests import Digests
from services.auth.keys.ring import Dated, Key, KeyRing

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EPOCH = datetime.fromtimestamp(0, UTC)


def ring(keys: Mapping[int, Key]) -> KeyRing[Key]:
    """A ring whose highest number is in use."""
    return KeyRing({number: Dated(key, EPOCH) for number, key in keys.items()}, lambda: NOW)


def digests(peppers: Mapping[int, bytes]) -> Digests:
    """Digests under these peppers; the highest number is in use."""
    return Digests(ring(peppers))
