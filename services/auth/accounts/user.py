"""A person who signs in, and where people are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.auth.accounts.account import Kind
from services.runtime.access import Role


@dataclass(frozen=True)
class User:
    """A person who signs in."""

    id: str
    """16 hexadecimal digits."""
    account: str
    kind: Kind
    """What the account is."""
    email: str
    """Lower case."""
    role: "Role.ValueType"
    create_time: datetime
    disabled: bool = False
    password: str | None = None
    """Argon2id, in its encoded form; None: signs in with a provider only."""
    totp: bytes | None = None
    """The second factor's shared secret, sealed."""
    totp_confirmed: bool = False
    totp_step: int = 0
    """The newest time step whose code was used."""
    recovery: tuple[str, ...] = ()
    """Digests of the recovery codes that are left: "<pepper>:<hexadecimal digits>"."""
    oidc: tuple[str, str] | None = None
    """Issuer and subject at the OpenID Connect provider."""

    @property
    def second_factor(self) -> bool:
        """Whether a code is asked for."""
        return self.totp is not None and self.totp_confirmed


class Users(Protocol):
    """Where people are kept."""

    async def add(self, user: User) -> None:
        """Keeps a new user. Raises ApiError(ALREADY_EXISTS) when the e-mail address is taken."""
        ...

    async def get(self, user_id: str) -> User | None:
        """The user with this id."""
        ...

    async def by_email(self, email: str) -> User | None:
        """The user with this e-mail address, lower case."""
        ...

    async def by_oidc(self, issuer: str, subject: str) -> User | None:
        """The user whom an OpenID Connect provider knows by this subject."""
        ...

    async def page(self, account: str, after: str, limit: int) -> list[User]:
        """Users of an account by e-mail address, those behind `after`."""
        ...

    async def change(self, user_id: str, change: Callable[[User], User]) -> User | None:
        """The user after `change`, which sees it as it is now and while nobody else changes it.

        What `change` raises leaves everything as it was.
        """
        ...

    async def delete(self, user_id: str) -> bool:
        """Removes the user with all sessions, but for the name; False when there is none."""
        ...
