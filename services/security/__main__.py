"""security: `python -m services.security [migrate | create-secrets DIR]`."""

import asyncio
import base64
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime import logs, server, tracing
from services.runtime.database import migrate
from services.runtime.secret_files import write_once
from services.runtime.ssh import create_key
from services.security.bootstrap import SERVICES, build
from services.security.settings import SecuritySettings

MIGRATIONS = Path(__file__).parent / "store" / "migrations"


async def serve(settings: SecuritySettings) -> None:
    """Serves until it is told to stop."""
    with tracing.exported("security", settings.traces, settings.traces_ratio):
        async with build(settings) as grpc_server:
            await server.serve(
                grpc_server, settings.listen, settings.tls, SERVICES, settings.drain_seconds
            )


def create_secrets(folder: Path) -> None:
    """Makes the key that this service speaks in its own name with, and that for gateways, once.

    The other services know its public key by their setting service_public_keys, which is the file
    service_public_keys.json; gateways let in the one in f2h_security_ssh_key.pub.
    """
    key = Ed25519PrivateKey.generate()
    private = base64.b64encode(key.private_bytes_raw()).decode()
    if write_once(folder / "f2h_security_service_key", private):
        public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        write_once(folder / "service_public_keys.json", json.dumps({"security": public}))
    create_key(folder / "f2h_security_ssh_key")


def main() -> None:
    """Makes secrets, or reads the settings and then migrates or serves."""
    if sys.argv[1:2] == ["create-secrets"]:
        create_secrets(Path(sys.argv[2]))
        return
    settings = SecuritySettings.load()
    logs.configure("security", settings.log_level)
    if sys.argv[1:] == ["migrate"]:
        migrate(settings.database_url, MIGRATIONS)
    else:
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
