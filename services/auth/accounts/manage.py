"""What the NOC does with accounts and users."""

import secrets
from collections.abc import Callable
from dataclasses import replace

from f2h.access.v1.reason_pb2 import Reason

from services.auth.accounts.account import Account, Accounts, Kind
from services.auth.accounts.user import User, Users
from services.auth.sessions.session import EndSessions
from services.auth.sign_in.passwords import Passwords
from services.runtime.access import Role
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, invalid

_ID_BYTES = 8
_PASSWORD_BYTES = 18


class ManageAccounts:
    """Makes accounts."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    async def create(self, account_id: str, kind: Kind) -> Account:
        """A new account. Raises ApiError(ALREADY_EXISTS)."""
        account = Account(account_id, kind, self._clock())
        await self._accounts.add(account)
        return account


class ManageUsers:
    """Makes, changes and removes users."""

    def __init__(
        self,
        accounts: Accounts,
        users: Users,
        passwords: Passwords,
        end_sessions: EndSessions,
        clock: Clock,
        *,
        new_id: Callable[[], str] = lambda: secrets.token_hex(_ID_BYTES),
    ) -> None:
        self._accounts = accounts
        self._users = users
        self._passwords = passwords
        self._end_sessions = end_sessions
        self._clock = clock
        self._new_id = new_id

    async def create(
        self, account_id: str, email: str, role: "Role.ValueType", password: str = ""
    ) -> tuple[User, str]:
        """A new user, and the password that was made for it; empty when one was given.

        Raises ApiError(INVALID_REQUEST) for an unknown account, ApiError(ALREADY_EXISTS) for an
        e-mail address that somebody has.
        """
        account = await self._accounts.get(account_id)
        if account is None:
            raise invalid("account", f"there is no account {account_id}: create it first")
        made = "" if password else _new_password()
        user = User(
            id=self._new_id(),
            account=account.id,
            kind=account.kind,
            email=email.lower(),
            role=role,
            create_time=self._clock(),
            password=await self._passwords.hash(password or made),
        )
        await self._users.add(user)
        return user, made

    async def update(
        self, user_id: str, role: "Role.ValueType | None", *, disabled: bool | None
    ) -> User:
        """The user with another role, or kept from signing in; all sessions are ended."""

        def changed(user: User) -> User:
            return replace(
                user,
                role=user.role if role is None else role,
                disabled=user.disabled if disabled is None else disabled,
            )

        user = _found(await self._users.change(user_id, changed), user_id)
        await self._end_sessions(user.id)
        return user

    async def reset(self, user_id: str) -> tuple[User, str]:
        """The user with a new password and nothing else to sign in with; all sessions are ended."""
        made = _new_password()
        password = await self._passwords.hash(made)

        def changed(user: User) -> User:
            return replace(
                user, password=password, totp=None, totp_confirmed=False, recovery=(), oidc=None
            )

        user = _found(await self._users.change(user_id, changed), user_id)
        await self._end_sessions(user.id)
        return user, made

    async def end_sessions(self, user_id: str) -> None:
        """Ends all sessions of a user."""
        _found(await self._users.get(user_id), user_id)
        await self._end_sessions(user_id)

    async def delete(self, user_id: str) -> None:
        """Removes a user, and ends all sessions."""
        await self._end_sessions(user_id)
        if not await self._users.delete(user_id):
            _found(None, user_id)


def _new_password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _found(user: User | None, user_id: str) -> User:
    if user is None:
        raise ApiError(Reason.NOT_FOUND, f"There is no user {user_id}.")
    return user
