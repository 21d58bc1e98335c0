"""A real database of people, and everything that signs them in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.accounts.account import Account, Kind
from services.auth.accounts.manage import ManageUsers
from services.auth.accounts.user import User
from services.auth.keys.secret import SESSION_PREFIX, generate
from services.auth.sessions.session import BeginSession, EndSessions
from services.auth.sign_in.identity import Identity
from services.auth.sign_in.passwords import Passwords
from services.auth.sign_in.second_factor import SecondFactor
from services.auth.sign_in.sign_in import OwnUser, Side, SignIn, Visit
from services.auth.sign_in.throttle import Throttle
from services.auth.store.accounts import SqlAccounts
from services.auth.store.sessions import SqlSessions
from services.auth.store.sign_in_throttle import SqlFailures
from services.auth.store.users import SqlUsers
from services.runtime.access import Role
from services.runtime.database import Database
from services.runtime.errors import ApiError
from services.runtime.sealing import Sealer
from tests.unit.auth.rings import NOW, digests

PASSWORD = "correct horse battery"

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""So that tests do not wait for what attackers are to wait for."""


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


class CountedPasswords(Passwords):
    """Counts how often a password was verified; the next time, something may happen meanwhile."""

    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.verified = 0
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def verify(self, kept: str | None, password: str) -> bool:
        self.verified += 1
        right = await super().verify(kept, password)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        return right


class KeptTrail:
    """The audit trail as a list; it can be told to fail."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.fails = False

    async def append(self, record: AuditRecord, attempt: int | None = None) -> int:
        assert attempt is None
        if self.fails:
            raise ConnectionError
        self.records.append(record)
        return len(self.records)


class Provider:
    """An OpenID Connect provider that vouches for whom it is told to."""

    def __init__(self) -> None:
        self.vouches: Identity | None = None

    async def begin(self) -> tuple[str, str]:
        return "https://id.example.net/authorize", "attempt"

    async def finish(self, attempt: str, code: str, state: str) -> Identity:
        if self.vouches is None:
            raise ApiError(Reason.SIGN_IN_FAILED, "no")
        return self.vouches


@dataclass
class People:
    """What a test has to do with."""

    clock: Time
    users: SqlUsers
    sessions: SqlSessions
    failures: SqlFailures
    passwords: CountedPasswords
    trail: KeptTrail
    provider: Provider
    manage: ManageUsers
    second_factor: SecondFactor
    sign_in: SignIn
    own: OwnUser
    forgotten: list[str]

    async def user(self, email: str = "a@example.net", account: str = "acme") -> User:
        """A new user with PASSWORD."""
        user, _ = await self.manage.create(account, email, Role.MEMBER, PASSWORD)
        return user


def visit(side: Side = Side.PUBLIC, address: str = "203.0.113.4") -> Visit:
    return Visit("/f2h.auth.v1.SessionService/Login", side, address, "request-1")


@asynccontextmanager
async def people_on(url: str) -> AsyncIterator[People]:
    """Everything, on a database that has its tables."""
    database, clock = Database(url), Time()
    accounts = SqlAccounts(database)
    await accounts.add(Account("acme", Kind.CUSTOMER, NOW))
    await accounts.add(Account("noc", Kind.NOC, NOW))
    users, sessions = SqlUsers(database), SqlSessions(database)
    failures = SqlFailures(database)
    passwords, trail, provider = CountedPasswords(), KeptTrail(), Provider()
    peppers = digests({1: bytes(32)})
    throttle = Throttle(failures, clock)
    second_factor = SecondFactor(users, Sealer({1: bytes(32)}), peppers, clock)
    forgotten: list[str] = []
    end = EndSessions(sessions, forgotten.append)
    begin = BeginSession(
        sessions,
        peppers,
        clock,
        longest=timedelta(hours=12),
        generate=partial(generate, SESSION_PREFIX),
    )
    yield People(
        clock,
        users,
        sessions,
        failures,
        passwords,
        trail,
        provider,
        ManageUsers(accounts, users, passwords, end, clock),
        second_factor,
        SignIn(
            users,
            passwords=passwords,
            throttle=throttle,
            second_factor=second_factor,
            provider=provider,
            begin=begin,
            trail=trail,
        ),
        OwnUser(users, passwords, throttle, second_factor, end),
        forgotten,
    )
    await database.close()
