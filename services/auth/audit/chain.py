"""The chain of the audit trail: every entry's hash covers the one before."""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime

NOTHING = bytes(32)
"""The hash before the first entry."""

_PLACE = struct.Struct(">q?q")


def link(before: bytes, sequence: int, attempt: int | None, content: bytes) -> bytes:
    """The hash of an entry, 32 bytes.

    SHA-256 over the hash before, the entry's sequence, whether it is an outcome, of which attempt
    (0: it is none), and its content. All but the last have a fixed length, so that no two entries
    are the same bytes.
    """
    place = _PLACE.pack(sequence, attempt is not None, attempt or 0)
    return hashlib.sha256(before + place + content).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was found. Somebody may have put anything there."""

    sequence: int
    attempt: int | None
    """For an outcome: the sequence of its attempt."""
    time: datetime | None
    """None: what is there is not how a time is kept."""
    account: str
    subject: str
    method: str
    resource: str
    outcome: int
    content: bytes
    """A serialized f2h.auth.v1.AuditRecord."""
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """What is kept of the newest entry, in another place."""

    sequence: int
    hash: bytes
