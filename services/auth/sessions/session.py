"""A session, and where sessions are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.auth.keys.digests import Digests
from services.auth.keys.key import SecretDigest
from services.auth.keys.secret import KeyText
from services.runtime.clock import Clock


@dataclass(frozen=True)
class Session:
    """A session of a signed-in person, without its token."""

    id: str
    user: str
    """The user's id."""
    create_time: datetime
    last_used_time: datetime
    expire_time: datetime
    """However much it is used."""


class Sessions(Protocol):
    """Where sessions are kept."""

    async def add(self, session: Session, digest: SecretDigest) -> None:
        """Keeps a new session."""
        ...

    async def get(self, session_id: str) -> Session | None:
        """The session with this id."""
        ...

    async def end(self, session_id: str) -> None:
        """Ends a session, if there is one."""
        ...

    async def end_all(self, user_id: str, except_for: str) -> list[str]:
        """Ends all sessions of a user, but for one if that is named; answers their ids."""
        ...


class BeginSession:
    """Makes sessions."""

    def __init__(
        self,
        sessions: Sessions,
        digests: Digests,
        clock: Clock,
        *,
        longest: timedelta,
        generate: Callable[[], KeyText],
    ) -> None:
        """`longest` is after how long a session ends, however much it is used."""
        self._sessions = sessions
        self._digests = digests
        self._clock = clock
        self._longest = longest
        self._generate = generate

    async def __call__(self, user_id: str) -> tuple[Session, KeyText]:
        """A new session, and its token, which is not kept."""
        now, token = self._clock(), self._generate()
        session = Session(token.id, user_id, now, now, now + self._longest)
        pepper = self._digests.in_use
        digest = SecretDigest(pepper, self._digests.digest(token.secret, pepper))
        await self._sessions.add(session, digest)
        return session, token

    async def undo(self, session: Session) -> None:
        """Ends a session whose token nobody was given."""
        await self._sessions.end(session.id)


class EndSessions:
    """Ends sessions, at once in this process and within a second in others."""

    def __init__(self, sessions: Sessions, forget: Callable[[str], None]) -> None:
        """`forget` makes the check read a session again."""
        self._sessions = sessions
        self._forget = forget

    async def one(self, session_id: str) -> None:
        """Ends one session."""
        await self._sessions.end(session_id)
        self._forget(session_id)

    async def __call__(self, user_id: str, *, except_for: str = "") -> None:
        """Ends all sessions of a user, but for one if that is named."""
        for session_id in await self._sessions.end_all(user_id, except_for):
            self._forget(session_id)
