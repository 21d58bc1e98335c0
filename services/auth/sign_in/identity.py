"""Who an OpenID Connect provider says that somebody is."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Identity:
    """What the provider vouches for."""

    issuer: str
    subject: str
    """The provider's own name of the user, which never changes."""
    email: str
    """In lower case; empty: not told."""
    email_verified: bool


class IdentityProvider(Protocol):
    """An OpenID Connect provider."""

    async def begin(self) -> tuple[str, str]:
        """Where to send the browser, and an opaque attempt to go on with.

        Raises ApiError(NOT_SET_UP) without a provider, ApiError(DEPENDENCY_UNAVAILABLE) when it
        does not answer.
        """
        ...

    async def finish(self, attempt: str, code: str, state: str) -> Identity:
        """Who signed in there.

        Raises ApiError(SIGN_IN_FAILED) for what was not begun here, is too old, or is refused by
        the provider; ApiError(NOT_SET_UP) and ApiError(DEPENDENCY_UNAVAILABLE) as `begin`.
        """
        ...
