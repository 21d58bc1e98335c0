"""The secrets of an installation, as files: made, rotated and retired by commands.

A rotation adds a key that every process knows after its next restart, in any order, and uses from a
moment on that is late enough for all of them. Nothing stops to work meanwhile.
"""

import base64
import json
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.secret_files import replace, write_once
from services.runtime.settings import KEY_BYTES

LONGEST_SIGNED = timedelta(seconds=900)
"""How long what is signed holds at most: a token."""

PEPPERS = "f2h_auth_peppers"
SIGNING_KEYS = "f2h_auth_signing_keys"
SEALING_KEYS = "f2h_auth_sealing_keys"
PUBLIC_KEYS = "principal_public_keys.json"
"""Not secret: every service is given its content as F2H_<SERVICE>_PRINCIPAL_PUBLIC_KEYS."""


class Refused(Exception):  # noqa: N818 - it says what happened
    """A rotation that would break something; the text is for the operator."""


def create(folder: Path) -> None:
    """Makes what a new installation needs, each unless it is there."""
    write_once(folder / PEPPERS, json.dumps({"1": {"key": _random()}}))
    write_once(folder / SIGNING_KEYS, json.dumps({"1": {"key": _signing_key()}}))
    write_once(folder / SEALING_KEYS, json.dumps({"1": _random()}))
    _publish(folder)


def rotate_pepper(folder: Path, now: datetime, delay: timedelta) -> int:
    """Adds a pepper that is used from `now + delay` on. Answers its number."""
    return _add(folder / PEPPERS, _random(), now + delay)


def rotate_signing_key(folder: Path, now: datetime, delay: timedelta) -> int:
    """Adds a signing key that is used from `now + delay` on; publishes it. Answers its number."""
    number = _add(folder / SIGNING_KEYS, _signing_key(), now + delay)
    _publish(folder)
    return number


def retire_pepper(folder: Path, number: int, now: datetime) -> None:
    """Removes a pepper. The caller has made sure that no key needs it. Raises Refused."""
    _remove(folder / PEPPERS, number, now)


def retire_signing_key(folder: Path, number: int, now: datetime) -> None:
    """Removes a signing key, and what it signed is no longer believed. Raises Refused.

    Not before the last token that it signed has come to its end.
    """
    _remove(folder / SIGNING_KEYS, number, now - LONGEST_SIGNED)
    public = folder / PUBLIC_KEYS
    published = json.loads(public.read_text())
    published.pop(str(number), None)
    public.write_text(json.dumps(published))


def _add(file: Path, key: str, use_from: datetime) -> int:
    keys = _read(file)
    number = max(map(int, keys)) + 1
    keys[str(number)] = {"key": key, "use_from": use_from.isoformat(timespec="seconds")}
    replace(file, json.dumps(keys))
    return number


def _remove(file: Path, number: int, at: datetime) -> None:
    keys = _read(file)
    if str(number) not in keys:
        raise Refused(f"{file.name} has no number {number}; it has {', '.join(keys)}")
    later = [
        each
        for name, each in keys.items()
        if int(name) > number and datetime.fromisoformat(each.get("use_from", _EPOCH)) <= at
    ]
    if not later:
        raise Refused(f"number {number} is in use, or was until a moment ago: rotate, and wait")
    del keys[str(number)]
    replace(file, json.dumps(keys))


_EPOCH = "1970-01-01T00:00:00+00:00"


def _read(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        raise Refused(f"{file} does not exist: run create-secrets first")
    keys: dict[str, dict[str, Any]] = json.loads(file.read_text())
    return keys


def _publish(folder: Path) -> None:
    """Writes the public keys beside those that are published already."""
    file = folder / PUBLIC_KEYS
    published = json.loads(file.read_text()) if file.exists() else {}
    keys = {number: _public(dated["key"]) for number, dated in _read(folder / SIGNING_KEYS).items()}
    if not published.items() >= keys.items():
        file.write_text(json.dumps({**published, **keys}))


def _public(key: str) -> str:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key))
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _signing_key() -> str:
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
