from datetime import timedelta
from functools import partial

from services.auth.keys.key import SecretDigest
from services.auth.keys.secret import SESSION_PREFIX, generate, parse
from services.auth.sessions.session import BeginSession, EndSessions, Session
from tests.unit.auth.rings import NOW, digests

HOURS = timedelta(hours=12)


class KeptSessions:
    """Implements Sessions, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Session, SecretDigest]] = {}

    async def add(self, session: Session, digest: SecretDigest) -> None:
        self.kept[session.id] = session, digest

    async def get(self, session_id: str) -> Session | None:
        found = self.kept.get(session_id)
        return found[0] if found else None

    async def end(self, session_id: str) -> None:
        self.kept.pop(session_id, None)

    async def end_all(self, user_id: str, except_for: str) -> list[str]:
        ended = [
            name
            for name, (session, _) in self.kept.items()
            if session.user == user_id and name != except_for
        ]
        for name in ended:
            del self.kept[name]
        return ended


PEPPERS = digests({1: bytes(32), 2: bytes(range(32))})


def begin_on(sessions: KeptSessions) -> BeginSession:
    make = partial(generate, SESSION_PREFIX)
    return BeginSession(sessions, PEPPERS, lambda: NOW, longest=HOURS, generate=make)


async def test_a_session_is_kept_without_its_token() -> None:
    sessions = KeptSessions()
    session, token = await begin_on(sessions)("a user")
    assert session == Session(token.id, "a user", NOW, NOW, NOW + HOURS)
    assert parse(str(token), SESSION_PREFIX) == token
    [(kept, digest)] = sessions.kept.values()
    assert kept == session
    assert digest.pepper == 2, "the one in use"
    assert PEPPERS.matches(token.secret, digest.pepper, digest.digest)
    assert token.secret not in repr(sessions.kept)
    assert token.secret.encode() not in digest.digest


async def test_a_session_that_is_undone_is_gone() -> None:
    sessions = KeptSessions()
    begin = begin_on(sessions)
    session, _ = await begin("a user")
    other, _ = await begin("a user")
    await begin.undo(session)
    assert [*sessions.kept] == [other.id]


async def test_what_is_ended_is_forgotten_at_once() -> None:
    sessions, forgotten = KeptSessions(), list[str]()
    begin, end = begin_on(sessions), EndSessions(sessions, forgotten.append)
    made = [(await begin(user))[0].id for user in ("a", "a", "a", "b")]
    await end.one(made[0])
    assert forgotten == made[:1]
    await end("a", except_for=made[1])
    assert forgotten == [made[0], made[2]]
    assert [*sessions.kept] == [made[1], made[3]]
    await end("a")
    assert [*sessions.kept] == [made[3]]
