"""The form of a key: `f2h.<id>.<secret>`; a session's token has the same form and another prefix.

The id is 16 lower-case hexadecimal digits. The secret is 39 base62 characters: 33 random ones (196
bits) and 6 that hold the CRC-32 of what stands before them. So a mistyped key is refused without a
look into the database, and a scanner that finds a key in a file can be sure that it is one.
"""

import re
import secrets
import string
from binascii import crc32
from dataclasses import dataclass, field

PREFIX = "f2h"
SESSION_PREFIX = "f2hs"

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_BYTES = 8
_RANDOM, _CHECK = 33, 6

_FORM = re.compile(
    rf"(?P<prefix>[a-z0-9]+)\.(?P<id>[0-9a-f]{{{2 * _ID_BYTES}}})"
    rf"\.(?P<random>[0-9A-Za-z]{{{_RANDOM}}})(?P<check>[0-9A-Za-z]{{{_CHECK}}})"
)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as its holder has it."""

    id: str
    secret: str = field(repr=False)
    """The 39 characters."""
    prefix: str = PREFIX

    def __str__(self) -> str:
        return f"{self.prefix}.{self.id}.{self.secret}"


def generate(prefix: str = PREFIX) -> KeyText:
    """A new key, from the operating system's randomness."""
    key_id = secrets.token_hex(_ID_BYTES)
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return KeyText(key_id, random + _check(key_id, random), prefix)


def parse(text: str, prefix: str = PREFIX) -> KeyText | None:
    """The parts of a key; None when it has not the form, or its check says that it is mistyped."""
    match = _FORM.fullmatch(text)
    if match is None or match["prefix"] != prefix:
        return None
    if _check(match["id"], match["random"]) != match["check"]:
        return None
    return KeyText(match["id"], match["random"] + match["check"], prefix)


def _check(key_id: str, random: str) -> str:
    """CRC-32 (ISO-HDLC, as zlib has it) of "id.random" as 6 base62 characters, highest first."""
    rest = crc32(f"{key_id}.{random}".encode())
    characters = ""
    for _ in range(_CHECK):
        rest, digit = divmod(rest, len(_ALPHABET))
        characters = _ALPHABET[digit] + characters
    return characters
