"""auth: `python -m services.auth [COMMAND]`; without one it serves. `--help` lists the commands."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from services.auth import commands, rotation
from services.auth.bootstrap import SERVICES, build
from services.auth.settings import AuthSettings
from services.auth.store import MIGRATIONS
from services.runtime import logs, server, tracing
from services.runtime.clock import system_clock
from services.runtime.database import migrate
from services.runtime.errors import ApiError


async def serve(settings: AuthSettings) -> None:
    """Serves until it is told to stop."""
    with tracing.exported("auth", settings.traces, settings.traces_ratio):
        async with build(settings) as auth:
            # Not where it is built: commands are run beside a service that has this address.
            with auth.metrics.serve(settings.metrics):
                await server.serve(
                    auth.server, settings.listen, settings.tls, SERVICES, settings.drain_seconds
                )


def main() -> int:
    """Runs one command."""
    options = _parser().parse_args()
    try:
        if options.command in _ON_SECRETS:
            _ON_SECRETS[options.command](options)
            return 0
        settings = AuthSettings.load()
        logs.configure("auth", settings.log_level)
        return _run(settings, options)
    except rotation.Refused as refused:
        print(refused, file=sys.stderr)
    except ApiError as error:
        print(error.message, file=sys.stderr)
    return 1


def _run(settings: AuthSettings, options: argparse.Namespace) -> int:
    if options.command == "migrate":
        migrate(settings.database_url, MIGRATIONS)
        return 0
    if options.command is not None:
        command = getattr(commands, options.command.replace("-", "_"))
        return int(asyncio.run(command(settings, options)))
    asyncio.run(serve(settings))
    return 0


def _rotate_pepper(options: argparse.Namespace) -> None:
    delay = timedelta(minutes=options.minutes)
    print(rotation.rotate_pepper(options.folder, system_clock(), delay))


def _rotate_signing_key(options: argparse.Namespace) -> None:
    delay = timedelta(minutes=options.minutes)
    print(rotation.rotate_signing_key(options.folder, system_clock(), delay))


_ON_SECRETS: dict[str, Callable[[argparse.Namespace], None]] = {
    "create-secrets": lambda options: rotation.create(options.folder),
    "rotate-pepper": _rotate_pepper,
    "rotate-signing-key": _rotate_signing_key,
    "retire-signing-key": lambda options: rotation.retire_signing_key(
        options.folder, options.number, system_clock()
    ),
}
"""What needs no settings: there may be none yet."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.auth")
    commands_ = parser.add_subparsers(dest="command")
    add = commands_.add_parser

    add("migrate", help="bring the database to the newest revision")

    create = add("create-secrets", help="make what is missing of secrets")
    create.add_argument("folder", type=Path)
    for name, what in (("pepper", "a new pepper"), ("signing-key", "a new signing key")):
        rotate = add(
            f"rotate-{name}", help=f"add {what}, used from some time on; prints its number"
        )
        rotate.add_argument("folder", type=Path)
        rotate.add_argument("--minutes", type=float, default=60, help="until it is used")
    for name in ("pepper", "signing-key"):
        retire = add(f"retire-{name}", help="remove an old one that nothing needs any more")
        retire.add_argument("folder", type=Path)
        retire.add_argument("number", type=int)

    account = add("create-account", help="make an account")
    account.add_argument("id")
    account.add_argument("--noc", action="store_true", help="of staff of the NOC")
    user = add("create-user", help="make a user; prints the password, which is not kept")
    user.add_argument("--account", required=True)
    user.add_argument("--email", required=True)
    user.add_argument("--role", required=True, choices=["OWNER", "MEMBER", "READ_ONLY"])
    _secret_file(user, "the password")

    key = add("create-noc-key", help="make a key for a NOC service")
    key.add_argument("--label", required=True)
    _secret_file(key, "the key")
    certificate = add("allow-noc-certificate", help="let a NOC service show a client certificate")
    certificate.add_argument("name", help="its URI SAN, for instance spiffe://example/noc/billing")
    certificate.add_argument("--label", required=True)
    revoke = add("revoke-noc-key", help="revoke the key or certificate of a NOC service")
    revoke.add_argument("id", help="16 hexadecimal digits")

    add("audit-checkpoint", help="print the state of the audit trail, to be kept elsewhere")
    verify = add("verify-audit", help="name the first audit record that is not as it was")
    verify.add_argument(
        "--checkpoint", type=Path, help="a file that audit-checkpoint's output is in"
    )
    return parser


def _secret_file(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--secret-file", type=Path, help=f"write {what} there, not to the screen")


if __name__ == "__main__":
    sys.exit(main())
