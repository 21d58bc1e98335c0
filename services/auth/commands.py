"""What the operator does on the machine itself. Each command is in the audit trail, too."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth import rotation
from services.auth.accounts.account import Kind
from services.auth.audit.checkpoint import checkpoint_line, parse_checkpoint
from services.auth.audit.verify import Whole, verify
from services.auth.bootstrap import Auth, build
from services.auth.keys.key import ApiKey, Audience
from services.auth.settings import AuthSettings
from services.runtime.access import Role
from services.runtime.clock import system_clock
from services.runtime.errors import ApiError
from services.runtime.secret_files import write_once

OPERATOR = "operator"
"""The subject of what is done by a command: whoever may run one."""


async def create_account(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Makes an account."""
    async with build(settings) as auth, _recorded(auth, options, options.id):
        await auth.accounts.create(options.id, Kind.NOC if options.noc else Kind.CUSTOMER)
    return 0


async def create_user(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Makes a user, and hands the password over."""

    async def make(auth: Auth) -> str:
        async with _recorded(auth, options, options.email):
            role = Role.Value(options.role)
            _, password = await auth.users.create(options.account, options.email, role)
        return password

    return await _hand_over(settings, make, options.secret_file)


async def create_noc_key(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Makes a NOC service's key, and hands it over."""

    async def make(auth: Auth) -> str:
        async with _recorded(auth, options, "") as made:
            key, text = await auth.create_key.for_noc(options.label)
            made.append(key.id)
        return str(text)

    return await _hand_over(settings, make, options.secret_file)


async def allow_noc_certificate(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Lets a NOC service in that shows a client certificate; prints the id to revoke it by."""
    async with build(settings) as auth, _recorded(auth, options, options.name):
        key, _ = await auth.create_key.for_noc(options.label, options.name)
    print(key.id)
    return 0


async def revoke_noc_key(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Revokes a NOC service's key; every running auth refuses it within a second."""

    def revoked(key: ApiKey) -> ApiKey:
        return replace(key, revoke_time=key.revoke_time or system_clock())

    async with build(settings) as auth, _recorded(auth, options, options.id):
        key = await auth.stores.keys.change(options.id, revoked, audience=Audience.NOC)
        if key is None:
            raise ApiError(Reason.NOT_FOUND, f"there is no NOC key {options.id}")
    return 0


async def retire_pepper(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Removes a pepper that nothing needs any more."""
    now, number = system_clock(), options.number
    async with build(settings) as auth:
        keys = await auth.stores.keys.digested_with(number, now)
        sessions = await auth.stores.sessions.digested_with(number, now)
        people = await auth.stores.users.recovery_codes_with(number)
        if keys or sessions or people:
            raise rotation.Refused(
                f"pepper {number} is needed by {keys} active keys (a key moves on when it is "
                f"used), {sessions} sessions and the recovery codes of {people} users"
            )
        async with _recorded(auth, options, str(number)):
            rotation.retire_pepper(options.folder, number, now)
    return 0


async def audit_checkpoint(settings: AuthSettings, _options: argparse.Namespace) -> int:
    """Prints the state of the audit trail, a line."""
    async with build(settings) as auth:
        print(checkpoint_line(await auth.stores.trail.checkpoint()))
    return 0


async def verify_audit(settings: AuthSettings, options: argparse.Namespace) -> int:
    """Says that the audit trail is whole, or names the first bad record."""
    checkpoint = None
    if options.checkpoint:
        try:
            checkpoint = parse_checkpoint(await asyncio.to_thread(_last_line, options.checkpoint))
        except (OSError, ValueError) as error:
            print(f"{options.checkpoint}: {error}", file=sys.stderr)
            return 2
    async with build(settings) as auth:
        found = await verify(auth.stores.trail, checkpoint)
    print(found, file=sys.stdout if isinstance(found, Whole) else sys.stderr)
    return 0 if isinstance(found, Whole) else 1


@asynccontextmanager
async def _recorded(
    auth: Auth, options: argparse.Namespace, resource: str
) -> AsyncIterator[list[str]]:
    """Has what is done inside in the audit trail: no record, no action.

    What is made and has a name only then is put into the list.
    """
    trail, made = auth.stores.trail, [resource]
    record = AuditRecord(subject=OPERATOR, method=options.command, resource=resource)
    record.account = getattr(options, "account", "")
    attempt = await trail.append(record)
    try:
        yield made
    except ApiError as error:
        refused = AuditRecord(subject=OPERATOR, outcome=AuditRecord.REFUSED)
        refused.reason = Reason.Name(error.reason)
        await trail.append(refused, attempt)
        raise
    accepted = AuditRecord(subject=OPERATOR, outcome=AuditRecord.ACCEPTED, resource=made[-1])
    await trail.append(accepted, attempt)


async def _hand_over(
    settings: AuthSettings, make: Callable[[Auth], Awaitable[str]], secret_file: Path | None
) -> int:
    """Shows a new secret once, or writes it to a new file of mode 0600."""
    if secret_file is not None and await asyncio.to_thread(secret_file.exists):
        # Before it is made: a key that nobody holds is not to be.
        print(f"{secret_file} exists already and stays as it is", file=sys.stderr)
        return 1
    async with build(settings) as auth:
        secret = await make(auth)
    if secret_file is None:
        print(secret)
    elif not write_once(secret_file, secret):
        print(f"{secret_file} was made meanwhile; the new secret is lost", file=sys.stderr)
        return 1
    return 0


def _last_line(file: Path) -> str:
    return (file.read_text().splitlines() or [""])[-1]
