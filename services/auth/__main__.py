"""auth: `python -m services.auth [COMMAND]`; without one it serves.

Commands: migrate, create-secrets DIR, create-noc-key --label X, revoke-noc-key ID.
"""

import argparse
import asyncio
import base64
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.auth.bootstrap import SERVICES, build
from services.auth.keys.key import Audience
from services.auth.settings import AuthSettings, SigningKey
from services.runtime import logs, server
from services.runtime.clock import system_clock
from services.runtime.database import migrate
from services.runtime.secret_files import write_once
from services.runtime.settings import KEY_BYTES

MIGRATIONS = Path(__file__).parent / "store" / "migrations"

PUBLIC_KEYS = "principal_public_keys.json"


async def serve(settings: AuthSettings) -> None:
    """Serves until it is told to stop."""
    async with build(settings) as auth:
        await server.serve(auth.server, settings.listen, SERVICES, settings.drain_seconds)


async def create_noc_key(settings: AuthSettings, label: str) -> str:
    """Makes a NOC service's key, and answers its text, which is not kept."""
    async with build(settings) as auth:
        _, text = await auth.create_key.for_noc(label)
    return str(text)


async def revoke_noc_key(settings: AuthSettings, key_id: str) -> int:
    """Revokes a NOC service's key; every running auth refuses it within a second."""
    async with build(settings) as auth:
        revoked = await auth.keys.revoke(key_id, system_clock(), Audience.NOC)
    if revoked is None:
        print(f"there is no NOC key {key_id}", file=sys.stderr)
        return 1
    return 0


def hand_over(make: Callable[[], str], secret_file: Path | None) -> int:
    """Shows a new secret once, or writes it to a new file of mode 0600."""
    if secret_file is None:
        print(make())
    elif secret_file.exists():  # before it is made: a key that nobody holds is not to be
        print(f"{secret_file} exists already and stays as it is", file=sys.stderr)
        return 1
    elif not write_once(secret_file, make()):
        print(f"{secret_file} was made meanwhile; the new key is lost", file=sys.stderr)
        return 1
    return 0


def create_secrets(folder: Path) -> None:
    """Makes what a new installation needs, each unless it is there: pepper and signing key."""
    pepper = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    write_once(folder / "f2h_auth_peppers", json.dumps({"1": pepper}))
    key = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    signing = folder / "f2h_auth_principal_signing_key"
    write_once(signing, json.dumps({"number": 1, "key": key}))
    _publish(SigningKey.model_validate_json(signing.read_text()), folder / PUBLIC_KEYS)


def _publish(signing: SigningKey, file: Path) -> None:
    """Writes the public key beside those that are published already.

    Not secret: every service is given the file's content as F2H_<SERVICE>_PRINCIPAL_PUBLIC_KEYS.
    """
    published = json.loads(file.read_text()) if file.exists() else {}
    public = base64.b64encode(signing.private().public_key().public_bytes_raw()).decode()
    if published.get(str(signing.number)) != public:
        file.write_text(json.dumps({**published, str(signing.number): public}))


def main() -> int:
    """Runs one command."""
    parser = argparse.ArgumentParser(prog="python -m services.auth")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("migrate", help="bring the database to the newest revision")
    secrets_parser = commands.add_parser("create-secrets", help="make what is missing of secrets")
    secrets_parser.add_argument("folder", type=Path)
    noc = commands.add_parser("create-noc-key", help="make a key for a NOC service")
    noc.add_argument("--label", required=True)
    noc.add_argument("--secret-file", type=Path, help="write the key there, not to the screen")
    revoke = commands.add_parser("revoke-noc-key", help="revoke the key of a NOC service")
    revoke.add_argument("id", help="the 16 hexadecimal digits in the middle of the key")
    arguments = parser.parse_args()

    if arguments.command == "create-secrets":
        create_secrets(arguments.folder)
        return 0
    settings = AuthSettings.load()
    logs.configure("auth", settings.log_level)
    if arguments.command == "migrate":
        migrate(settings.database_url, MIGRATIONS)
        return 0
    if arguments.command == "create-noc-key":
        return hand_over(
            lambda: asyncio.run(create_noc_key(settings, arguments.label)), arguments.secret_file
        )
    if arguments.command == "revoke-noc-key":
        return asyncio.run(revoke_noc_key(settings, arguments.id))
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
