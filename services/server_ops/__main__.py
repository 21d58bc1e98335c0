"""server_ops: `python -m services.server_ops [migrate | create-secrets DIR]`."""

import asyncio
import base64
import json
import secrets
import sys
from pathlib import Path

from services.runtime import logs, server, tracing
from services.runtime.database import migrate
from services.runtime.secret_files import write_once
from services.runtime.settings import KEY_BYTES
from services.runtime.ssh import create_key
from services.server_ops.adapters import durable
from services.server_ops.bootstrap.service import SERVICES, build
from services.server_ops.settings import ServerOpsSettings

MIGRATIONS = Path(__file__).parent / "store" / "migrations"


async def serve(settings: ServerOpsSettings) -> None:
    """Serves until it is told to stop."""
    with tracing.exported("server_ops", settings.traces, settings.traces_ratio):
        async with build(settings) as grpc_server:
            await server.serve(
                grpc_server, settings.listen, settings.tls, SERVICES, settings.drain_seconds
            )


def create_secrets(folder: Path) -> None:
    """Makes the key that BMC credentials are sealed with, and that for routers, once.

    What a router lets in is the public one, in the file f2h_server_ops_ssh_key.pub.
    """
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    write_once(folder / "f2h_server_ops_bmc_keys", json.dumps({"1": key}))
    create_key(folder / "f2h_server_ops_ssh_key")


def main() -> None:
    """Makes secrets, or reads the settings and then migrates or serves."""
    if sys.argv[1:2] == ["create-secrets"]:
        create_secrets(Path(sys.argv[2]))
        return
    settings = ServerOpsSettings.load()
    logs.configure("server_ops", settings.log_level)
    if sys.argv[1:] == ["migrate"]:
        migrate(settings.database_url, MIGRATIONS)
        durable.migrate(settings.durable_url)
    else:
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
