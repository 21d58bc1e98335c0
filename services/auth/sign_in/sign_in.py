"""Signing in, and what a signed-in person does with the own user."""

from dataclasses import dataclass, replace
from enum import StrEnum

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.accounts.account import Kind
from services.auth.accounts.user import User, Users
from services.auth.audit.trail import Trail
from services.auth.keys.secret import KeyText
from services.auth.sessions.session import BeginSession, EndSessions, Session
from services.auth.sign_in.identity import Identity, IdentityProvider
from services.auth.sign_in.passwords import Passwords
from services.auth.sign_in.second_factor import SecondFactor
from services.auth.sign_in.throttle import Throttle, Turn
from services.runtime.access import Audience
from services.runtime.errors import ApiError, invalid

_EMAIL_LENGTH = 254
_ADDRESS_LENGTH = 64
_REQUEST_LENGTH = 128


class Side(StrEnum):
    """The edge's listener that somebody signs in on."""

    PUBLIC = "public"
    INTERNAL = "internal"


_WELCOME = {Side.PUBLIC: Kind.CUSTOMER, Side.INTERNAL: Kind.NOC}


@dataclass(frozen=True)
class Visit:
    """Where somebody who signs in comes from."""

    method: str
    """The RPC, as the audit trail has it."""
    side: Side
    address: str
    request: str


@dataclass(frozen=True)
class SignedIn:
    """A person who is signed in."""

    user: User
    session: Session
    token: KeyText


class SignIn:
    """Lets people in."""

    def __init__(
        self,
        users: Users,
        *,
        passwords: Passwords,
        throttle: Throttle,
        second_factor: SecondFactor,
        provider: IdentityProvider,
        begin: BeginSession,
        trail: Trail,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._throttle = throttle
        self._second_factor = second_factor
        self._provider = provider
        self._begin = begin
        self._trail = trail

    async def with_password(self, email: str, password: str, code: str, visit: Visit) -> SignedIn:
        """Signs somebody in.

        Raises ApiError(RATE_LIMITED), ApiError(SECOND_FACTOR_REQUIRED) to who knows the password,
        and ApiError(SIGN_IN_FAILED) for everything else, whatever it was, after the same time. What
        the throttle refuses is not written down: a flood must not fill the audit trail.
        """
        email = email.lower()
        if "\0" in email:
            # PostgreSQL keeps no such text, neither as a user nor in the audit trail.
            raise invalid("email", "must be an e-mail address, for instance somebody@example.net")
        turn = await self._throttle.begin(email, visit.address)
        user: User | None = None
        try:
            user = await self._users.by_email(email)
            await self._require(user, password, code, visit)
            assert user is not None  # noqa: S101 - for the reader: _require has refused nobody
            signed_in = await self._let_in(user, email, visit)
        except ApiError as error:
            await self._refuse(visit, user, email, error, turn)
            raise
        await self._throttle.succeeded(turn)
        await self._renew(user, password)
        return signed_in

    async def begin_with_provider(self) -> tuple[str, str]:
        """Where to send the browser, and the attempt to go on with."""
        return await self._provider.begin()

    async def with_provider(self, attempt: str, code: str, state: str, visit: Visit) -> SignedIn:
        """Signs somebody in whom the OpenID Connect provider vouches for.

        The provider is responsible for further factors: no code of ours is asked for. Nobody is
        made by signing in. Raises ApiError as `with_password`, and what the provider raises.
        """
        turn = await self._throttle.begin("", visit.address)
        user: User | None = None
        claimed = ""
        try:
            identity = await self._provider.finish(attempt, code, state)
            claimed = identity.email
            user = await self._known(identity)
            if not _is_welcome(user, visit):
                raise _failed()
            assert user is not None  # noqa: S101 - for the reader: nobody is not welcome
            signed_in = await self._let_in(user, claimed, visit)
        except ApiError as error:
            await self._refuse(visit, user, claimed, error, turn)
            raise
        await self._throttle.succeeded(turn)
        return signed_in

    async def _require(self, user: User | None, password: str, code: str, visit: Visit) -> None:
        right = await self._passwords.verify(user.password if user else None, password)
        if user is None or not right or not _is_welcome(user, visit):
            raise _failed()
        if not user.second_factor:
            return
        if not code:
            text = "Send the code of the second factor as well."
            raise ApiError(Reason.SECOND_FACTOR_REQUIRED, text)
        if not await self._second_factor.use(user, code):
            raise _failed()

    async def _known(self, identity: Identity) -> User | None:
        user = await self._users.by_oidc(identity.issuer, identity.subject)
        if user is not None or not identity.email or not identity.email_verified:
            return user
        user = await self._users.by_email(identity.email)
        if user is None or user.disabled:
            return None

        def linked(found: User) -> User:
            # The first one who comes with the address has it; a later subject is somebody else.
            return replace(found, oidc=found.oidc or (identity.issuer, identity.subject))

        user = await self._users.change(user.id, linked)
        mine = user is not None and user.oidc == (identity.issuer, identity.subject)
        return user if mine else None

    async def _let_in(self, user: User, email: str, visit: Visit) -> SignedIn:
        # No record, no session.
        await self._record(visit, user, email, None)
        session, token = await self._begin(user.id)
        # Who resets, disables or removes the user changes first and ends sessions then, so either
        # the change is seen here or this session is ended there.
        if not _is_same(await self._users.get(user.id), user):
            await self._begin.undo(session)
            raise _failed()
        return SignedIn(user, session, token)

    async def _renew(self, user: User, password: str) -> None:
        """Keeps the password in today's form, unless it was changed meanwhile."""
        old = user.password
        if old is None or not self._passwords.is_outdated(old):
            return
        new = await self._passwords.hash(password)
        await self._users.change(
            user.id, lambda found: replace(found, password=new) if found.password == old else found
        )

    async def _refuse(
        self, visit: Visit, user: User | None, email: str, error: ApiError, turn: Turn
    ) -> None:
        await self._record(visit, user, email, error)
        if error.reason != Reason.SIGN_IN_FAILED:
            await self._throttle.excuse(turn)

    async def _record(
        self, visit: Visit, user: User | None, email: str, error: ApiError | None
    ) -> None:
        await self._trail.append(
            AuditRecord(
                account=user.account if user and user.kind == Kind.CUSTOMER else "",
                audience=_audience(user) if user and not error else 0,  # type: ignore[arg-type]
                subject=user.id if user else email[:_EMAIL_LENGTH],
                address=visit.address[:_ADDRESS_LENGTH],
                method=visit.method,
                outcome=AuditRecord.REFUSED if error else AuditRecord.ACCEPTED,
                reason=Reason.Name(error.reason) if error else "",
                request=visit.request[:_REQUEST_LENGTH],
            )
        )


class OwnUser:
    """What a signed-in person does with the own user."""

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        throttle: Throttle,
        second_factor: SecondFactor,
        end_sessions: EndSessions,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._throttle = throttle
        self._second_factor = second_factor
        self._end_sessions = end_sessions

    async def change_password(
        self, user_id: str, session_id: str, password: str, new: str, address: str
    ) -> None:
        """Replaces the password, and ends all other sessions. Raises ApiError(SIGN_IN_FAILED)."""
        user, turn = await self._confirmed(user_id, password, address)
        hashed = await self._passwords.hash(new)

        def changed(found: User) -> User:
            if found.password != user.password:  # what was shown is not the password any more
                raise _failed()
            return replace(found, password=hashed)

        await self._users.change(user.id, changed)
        if user.second_factor:
            # Half of what signing in takes: the failures of guessed codes stay counted.
            await self._throttle.excuse(turn)
        else:
            await self._throttle.succeeded(turn)
        await self._end_sessions(user.id, except_for=session_id)

    async def begin_second_factor(
        self, user_id: str, password: str, address: str
    ) -> tuple[str, str]:
        """A new shared secret, and its URI. Raises ApiError(SIGN_IN_FAILED)."""
        user, turn = await self._confirmed(user_id, password, address)
        begun = await self._second_factor.begin(user)
        await self._throttle.succeeded(turn)
        return begun

    async def confirm_second_factor(self, user_id: str, code: str, address: str) -> list[str]:
        """The recovery codes. Raises ApiError(INVALID_REQUEST) for a wrong code."""
        user = await self._user(user_id)
        turn = await self._throttle.begin(user.email, address)
        codes = await self._second_factor.confirm(user, code)
        await self._throttle.succeeded(turn)
        return codes

    async def remove_second_factor(
        self, user_id: str, password: str, code: str, address: str
    ) -> None:
        """Takes the second factor off. Raises ApiError(SIGN_IN_FAILED)."""
        user, turn = await self._confirmed(user_id, password, address)
        if not user.second_factor:
            raise ApiError(Reason.NOT_SET_UP, "No second factor is set up.")
        if not await self._second_factor.use(user, code):
            raise _failed()
        # Not before: a right password must not make guessing the code free.
        await self._throttle.succeeded(turn)
        await self._second_factor.remove(user)

    async def _confirmed(self, user_id: str, password: str, address: str) -> tuple[User, Turn]:
        """The user, who has shown the password again, and the turn that still counts as failed."""
        user = await self._user(user_id)
        turn = await self._throttle.begin(user.email, address)
        if not await self._passwords.verify(user.password, password):
            raise _failed()
        return user, turn

    async def _user(self, user_id: str) -> User:
        user = await self._users.get(user_id)
        if user is None:
            raise ApiError(Reason.SESSION_INVALID, "The session has ended: sign in again.")
        return user


def _is_welcome(user: User | None, visit: Visit) -> bool:
    return user is not None and not user.disabled and user.kind == _WELCOME[visit.side]


def _is_same(found: User | None, user: User) -> bool:
    """Whether the user may still sign in with what was shown."""
    shown = (user.password, user.oidc)
    return found is not None and not found.disabled and (found.password, found.oidc) == shown


def _audience(user: User) -> "Audience.ValueType":
    return Audience.STAFF if user.kind == Kind.NOC else Audience.SESSION


def _failed() -> ApiError:
    text = "Signing in failed: the e-mail address, the password or the code is wrong."
    return ApiError(Reason.SIGN_IN_FAILED, text)
