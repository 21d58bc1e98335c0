"""f2h.auth.v1.SessionService."""

from datetime import timedelta
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import session_pb2, session_pb2_grpc
from google.protobuf import empty_pb2

from services.auth.accounts.user import User, Users
from services.auth.rpc.users import pack
from services.auth.sessions.cookie import clear_cookie, set_cookie
from services.auth.sessions.session import EndSessions, Session, Sessions
from services.auth.sign_in.sign_in import OwnUser, Side, SignedIn, SignIn, Visit
from services.runtime import timestamps
from services.runtime.call import current_call, current_caller
from services.runtime.errors import ApiError
from services.runtime.networks import parse_address

LISTENER = "x-f2h-listener"
"""Set by the edge: the listener that the call came through."""

_SERVICE = session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Signs people in and out."""

    def __init__(
        self,
        sign_in: SignIn,
        own: OwnUser,
        users: Users,
        sessions: Sessions,
        end: EndSessions,
        *,
        idle: timedelta,
        secure: bool,
        oidc: bool,
    ) -> None:
        """`idle` is after how long without a call a session ends. `secure`: browsers use TLS.

        `oidc` is whether one may sign in with an OpenID Connect provider.
        """
        self._sign_in = sign_in
        self._own = own
        self._users = users
        self._sessions = sessions
        self._end = end
        self._idle = idle
        self._secure = secure
        self._oidc = oidc

    async def GetSignInOptions(
        self, _request: session_pb2.GetSignInOptionsRequest, _context: Any
    ) -> session_pb2.SignInOptions:
        """How one may sign in."""
        return session_pb2.SignInOptions(oidc=self._oidc)

    async def Login(self, request: session_pb2.LoginRequest, context: Any) -> session_pb2.Session:
        """Signs somebody in with a password."""
        signed_in = await self._sign_in.with_password(
            request.email, request.password, request.code, _visit("Login")
        )
        return await self._welcome(signed_in, context)

    async def BeginOidcLogin(
        self, _request: session_pb2.BeginOidcLoginRequest, _context: Any
    ) -> session_pb2.BeginOidcLoginResponse:
        """Sends somebody to the OpenID Connect provider."""
        url, attempt = await self._sign_in.begin_with_provider()
        return session_pb2.BeginOidcLoginResponse(authorization_url=url, attempt=attempt)

    async def LoginWithOidc(
        self, request: session_pb2.LoginWithOidcRequest, context: Any
    ) -> session_pb2.Session:
        """Signs somebody in who comes back from there."""
        signed_in = await self._sign_in.with_provider(
            request.attempt, request.code, request.state, _visit("LoginWithOidc")
        )
        return await self._welcome(signed_in, context)

    async def Logout(self, request: session_pb2.LogoutRequest, context: Any) -> empty_pb2.Empty:
        """Ends the session, or all of the user's."""
        principal = current_caller().principal
        if request.everywhere:
            await self._end(principal.subject)
        await self._end.one(principal.session)
        await _send_cookie(context, clear_cookie(secure=self._secure))
        return empty_pb2.Empty()

    async def GetMe(self, _request: session_pb2.GetMeRequest, _context: Any) -> session_pb2.Session:
        """Who is signed in."""
        principal = current_caller().principal
        user = await self._users.get(principal.subject)
        session = await self._sessions.get(principal.session)
        if user is None or session is None:
            raise ApiError(Reason.SESSION_INVALID, "The session has ended: sign in again.")
        return self._pack(user, session)

    async def ChangePassword(
        self, request: session_pb2.ChangePasswordRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Replaces the own password."""
        principal = current_caller().principal
        await self._own.change_password(
            principal.subject,
            principal.session,
            request.password,
            request.new_password,
            current_call().address,
        )
        return empty_pb2.Empty()

    async def BeginSecondFactor(
        self, request: session_pb2.BeginSecondFactorRequest, _context: Any
    ) -> session_pb2.BeginSecondFactorResponse:
        """Makes a shared secret."""
        user_id = current_caller().principal.subject
        secret, uri = await self._own.begin_second_factor(
            user_id, request.password, current_call().address
        )
        return session_pb2.BeginSecondFactorResponse(secret=secret, uri=uri)

    async def ConfirmSecondFactor(
        self, request: session_pb2.ConfirmSecondFactorRequest, _context: Any
    ) -> session_pb2.ConfirmSecondFactorResponse:
        """Asks for codes from now on."""
        user_id = current_caller().principal.subject
        codes = await self._own.confirm_second_factor(user_id, request.code, current_call().address)
        return session_pb2.ConfirmSecondFactorResponse(recovery_codes=codes)

    async def RemoveSecondFactor(
        self, request: session_pb2.RemoveSecondFactorRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Asks for no codes from now on."""
        user_id = current_caller().principal.subject
        await self._own.remove_second_factor(
            user_id, request.password, request.code, current_call().address
        )
        return empty_pb2.Empty()

    async def _welcome(self, signed_in: SignedIn, context: Any) -> session_pb2.Session:
        session = signed_in.session
        age = session.expire_time - session.create_time
        cookie = set_cookie(str(signed_in.token), age, secure=self._secure)
        await _send_cookie(context, cookie)
        return self._pack(signed_in.user, session)

    def _pack(self, user: User, session: Session) -> session_pb2.Session:
        return session_pb2.Session(
            user=pack(user),
            create_time=timestamps.pack(session.create_time),
            expire_time=timestamps.pack(session.expire_time),
            idle_seconds=int(self._idle.total_seconds()),
            address=str(parse_address(current_call().address) or ""),
        )


def _visit(method: str) -> Visit:
    call = current_call()
    # Past the edge, nobody says which side it is: then it is the one where less is allowed.
    side = Side.INTERNAL if call.metadata.get(LISTENER) == Side.INTERNAL else Side.PUBLIC
    return Visit(f"/{_SERVICE}/{method}", side, call.address, call.request)


async def _send_cookie(context: Any, cookie: str) -> None:
    await context.send_initial_metadata((("set-cookie", cookie),))
