"""Logging in over SSH: with the operator's key, and at the one host key that is registered."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import asyncssh
from pydantic import AfterValidator

from services.runtime.secret_files import write_once


class SshFailed(Exception):  # noqa: N818 - it says what happened
    """Nobody let us in. The text is for a person, and holds no word of a driver."""


def _is_private_key(text: str) -> str:
    if text:
        try:
            asyncssh.import_private_key(text)
        except Exception:  # noqa: BLE001 - and not a word of it is told, for it may hold the key
            raise ValueError("must be a private key as OpenSSH writes it") from None
    return text


PrivateKey = Annotated[str, AfterValidator(_is_private_key)]
"""A private key, as OpenSSH writes it; empty: none."""


def is_host_key(text: str) -> bool:
    """Whether a text is a public key, as OpenSSH writes it."""
    try:
        asyncssh.import_public_key(text)
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes lead a decoder to
        return False
    return True


def create_key(path: Path) -> None:
    """Makes a key pair once: the private key at `path`, the public one beside it as `.pub`."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="f2hcloud")
    if write_once(path, key.export_private_key().decode()):
        write_once(path.with_suffix(".pub"), key.export_public_key().decode())


async def connect(
    address: str,
    port: int,
    *,
    user: str,
    host_key: str,
    key: asyncssh.SSHKey,
    seconds: float,
    **options: Any,
) -> asyncssh.SSHClientConnection:
    """A connection, made within so many `seconds`. Raises SshFailed.

    `options` are further ones of asyncssh.connect.
    """
    if not is_host_key(host_key):
        raise SshFailed("The host key that is registered for it is none.")
    try:
        async with asyncio.timeout(seconds):
            return await asyncssh.connect(
                address,
                port,
                username=user,
                client_keys=[key],
                known_hosts=([asyncssh.import_public_key(host_key)], [], []),
                # What the account of this process has in ~/.ssh is none of that machine's business.
                config=None,
                agent_path=None,
                preferred_auth="publickey",
                **options,
            )
    except asyncssh.HostKeyNotVerifiable:
        raise SshFailed("It shows another host key than the registered one.") from None
    except asyncssh.PermissionDenied:
        raise SshFailed("It refused our login.") from None
    except (TimeoutError, OSError, asyncssh.Error, ValueError):
        raise SshFailed("It cannot be reached.") from None
