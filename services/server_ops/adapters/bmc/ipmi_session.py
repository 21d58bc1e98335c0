"""pyghmi's session, held so that a request leaves once for each time we ask, and never else.

pyghmi blocks, keeps global state and resends what got no answer, by timers and after logins of
its own. Here it keeps no copy of anything once the login is done: every request is sent with
`retry=False`, so that there is nothing to resend, and its event loop is driven from here, because
with `retry=False` it does not wait for the answer either.
"""

import secrets
import socket
import time
from dataclasses import dataclass
from typing import Any

from pyghmi import exceptions
from pyghmi.ipmi.private import constants
from pyghmi.ipmi.private import session as pyghmi_session

from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcAuthFailed

_OPERATOR = 3
"""The lowest privilege level that may control the chassis: IPMI 2.0 appendix G."""

_SLICE_SECONDS = 0.05
"""How long pyghmi's event loop runs at a time. It can miss that an answer came (its receiving
thread may take the datagram just before the caller begins to wait); then it is seen a slice later.
"""

_LOGIN_PAUSE_SECONDS = 1.0
"""Between two logins. A BMC whose sessions are all taken says so at once: it is not hammered."""

_IPMI_2 = 2.0

_LOGIN_SECONDS, _LOGIN_GROWTH, _LOGIN_SECONDS_MAX = 0.4, 1.2, 1.9
"""How long a message of a login waits for its answer: at first, times what with each new attempt,
and at most (pyghmi gives up above 2 s)."""

# RMCP+ status codes, IPMI 2.0 table 13-15, that say that the login is wrong: invalid role,
# unauthorized role or privilege level, unauthorized name, invalid integrity check value.
_LOGIN_IS_WRONG = (
    *(constants.rmcp_codes[code] for code in (0x09, 0x0A, 0x0D, 0x0F)),
    "Incorrect password",
    "requesting privelege level",  # pyghmi's spelling
)


class Unanswered(Exception):  # noqa: N818 - it says what happened
    """No answer came in time. The request left, and may or may not have arrived."""


class NotSent(Exception):  # noqa: N818
    """The session is gone, and the request did not leave."""


@dataclass(frozen=True)
class Answer:
    """A response, IPMI 2.0 section 5."""

    code: int
    """Completion code, table 5-2."""
    data: bytes


class _PyghmiSession(pyghmi_session.Session):  # type: ignore[misc]
    """pyghmi's session with a login that a lossy network and a slow BMC let through.

    Everything here concerns the login alone: its messages may be sent as often as one likes.
    """

    ipmiversion: float
    logontries: int
    sockaddr: Any

    _logins = 0

    def _initsession(self) -> None:
        algorithm = getattr(self, "attemptedhash", None)
        super()._initsession()
        # pyghmi numbers the sessions of every login alike. A RAKP 2 that was late would be taken
        # for the next login's, not verify, and look like a wrong password.
        self.localsid = secrets.randbelow(1 << 31)
        # Patience that grows: a BMC that takes longer over RAKP than we wait never lets us in.
        self.timeout = min(_LOGIN_SECONDS * _LOGIN_GROWTH**self._logins, _LOGIN_SECONDS_MAX)
        self._logins += 1
        if algorithm is not None:
            self.attemptedhash = algorithm  # the BMC has said which one it does not have

    def _relog(self) -> None:
        if self.ipmiversion != _IPMI_2 or self.sessioncontext == "ESTABLISHED":
            super()._relog()
            return
        # What the channel can do is known; only the session is new. One exchange less to be lost.
        known = self.sockaddr
        self._initsession()
        self.sockaddr, self.ipmiversion = known, _IPMI_2
        self.ipmicallback = self._got_channel_auth_cap
        self._open_rmcpplus_request()

    def _timedout(self) -> None:
        if self.logging:
            # pyghmi adds a second each time, and gives up after the second time.
            self.timeout -= 1 - _LOGIN_SECONDS
            self.logontries = max(self.logontries, 1)
        super()._timedout()


def _receive(mysocket: socket.socket, size: int) -> Any:
    # pyghmi's own makes the socket non-blocking and then reads; its sender makes it blocking in
    # between, and the reader hangs. A flag on the one call cannot be undone by another thread.
    try:
        return mysocket.recvfrom(size, socket.MSG_DONTWAIT)
    except OSError:
        return None


pyghmi_session._io_recvfrom = _receive  # noqa: SLF001


class IpmiSession:
    """An established RMCP+ session with one BMC."""

    def __init__(self, endpoint: BmcEndpoint) -> None:
        """Logs in, again and again until it works: whoever calls sets the deadline.

        Raises BmcAuthFailed at once.
        """
        self.endpoint = endpoint
        while True:
            session, problem = _try_login(endpoint)
            if session is not None:
                self._session = session
                return
            if any(text in problem for text in _LOGIN_IS_WRONG):
                raise BmcAuthFailed
            time.sleep(_LOGIN_PAUSE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether pyghmi would send on it, and at once.

        While it holds a payload that was not answered, it puts the next one into a queue and sends
        it when it likes; what was left over by a login does that.
        """
        held = self._session.lastpayload or self._session.pendingpayloads
        return bool(self._session.logged) and not self._session.broken and not held

    def ask(self, netfn: int, command: int, data: bytes = b"", *, seconds: float) -> Answer:
        """Sends one request in exactly one datagram, and waits so long for its answer.

        Raises Unanswered, and NotSent when it did not leave.
        """
        if not self.alive:
            raise NotSent
        answers: list[dict[str, Any]] = []
        try:
            self._session.raw_command(
                netfn=netfn, command=command, data=data, retry=False, callback=answers.append
            )
        except exceptions.PyghmiException:
            raise NotSent from None  # raised by its check before it sends, and only there
        deadline = time.monotonic() + seconds
        try:
            while not answers and (left := deadline - time.monotonic()) > 0:
                self._session.wait_for_rsp(timeout=min(left, _SLICE_SECONDS))
        except Exception:  # noqa: BLE001 - whatever it stumbles over, the request left
            raise Unanswered from None
        finally:
            self._session.incommand = False  # else the next request waits for this one
        for answer in answers:
            if (answer.get("netfn"), answer.get("command")) == (netfn + 1, command):
                return Answer(int(answer["code"]), bytes(answer["data"]))
        raise Unanswered

    def logout(self) -> None:
        """Close Session (section 22.19): gives the BMC its session slot back."""
        try:
            self._session.logout()
        except exceptions.PyghmiException:
            return  # it is gone already


def _try_login(endpoint: BmcEndpoint) -> tuple[Any, str]:
    """One login: the session, or None and what pyghmi said."""
    outcome: list[dict[str, Any]] = []
    session = None
    try:
        session = _PyghmiSession(
            bmc=endpoint.address,
            port=endpoint.port,
            userid=endpoint.username,
            password=endpoint.password,
            # Named, so that pyghmi does not try an unauthorized name once more at a lower level.
            privlevel=_OPERATOR,
            onlogon=outcome.append,
            keepalive=False,
        )
        while not outcome:
            session.wait_for_rsp(timeout=_SLICE_SECONDS)
    except Exception as error:  # noqa: BLE001 - a BMC's nonsense comes as any exception of pyghmi's
        if session is not None:
            session._mark_broken()  # noqa: SLF001 - else the next login is given this session
        return None, str(error)
    if "error" in outcome[0]:
        return None, str(outcome[0]["error"])
    return session, ""
