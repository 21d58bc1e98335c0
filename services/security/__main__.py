"""security: `python -m services.security`."""

import asyncio

from services.runtime import logs, server
from services.security.bootstrap import SERVICES, build
from services.security.settings import SecuritySettings


async def serve(settings: SecuritySettings) -> None:
    """Serves until it is told to stop."""
    async with build(settings) as grpc_server:
        await server.serve(grpc_server, settings.listen, SERVICES, settings.drain_seconds)


def main() -> None:
    """Reads the settings and serves."""
    settings = SecuritySettings.load()
    logs.configure("security", settings.log_level)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
