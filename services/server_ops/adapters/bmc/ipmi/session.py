"""pyghmi's session, driven by asyncio, and held so that a request leaves once for each time we ask.

pyghmi's cryptography, its state machine of a login and its messages are used as they are. Its input
and output are not: it receives in a thread of its own that wakes callers late, shares one socket
among BMCs, blocks, and resends what got no answer, by timers and after logins of its own. Here a
session has a socket, which the event loop watches; once the login is done pyghmi keeps no copy of
anything (`retry=False`), so that there is nothing to resend.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from pyghmi import exceptions
from pyghmi.ipmi.private import constants
from pyghmi.ipmi.private import session as pyghmi_session

from services.server_ops.bmc.contact import Stage
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcAuthFailed, Trouble

_OPERATOR = 3
"""The lowest privilege level that may control the chassis: IPMI 2.0 appendix G."""

_LOGIN_PAUSE_SECONDS = 1.0
"""Between two logins. A BMC whose sessions are all taken says so at once: it is not hammered."""

_IPMI_2 = 2.0

_LOGIN_SECONDS, _LOGIN_GROWTH, _LOGIN_SECONDS_MAX = 0.4, 1.2, 1.9
"""How long a message of a login waits for its answer: at first, times what with each new attempt,
and at most (pyghmi gives up above 2 s)."""

_DATAGRAM_BYTES = 3000
_RMCP = (b"\x06", b"\xff\x07")
"""Version, and sequence number and class of an IPMI message: section 13.1.3."""
_SHORTEST_BYTES = 16

_SET_PRIVILEGE_LEVEL = (0x06, 0x3B)
"""Network function and command, section 22.18."""

# RMCP+ status codes, IPMI 2.0 table 13-15, that say that the login is wrong: invalid role,
# unauthorized role or privilege level, unauthorized name, invalid integrity check value.
_LOGIN_IS_WRONG = (
    *(constants.rmcp_codes[code] for code in (0x09, 0x0A, 0x0D, 0x0F)),
    "Incorrect password",
    "privilege level refused",
)

# Status codes that say that all sessions, or slots, are taken.
_NO_SESSION = tuple(constants.rmcp_codes[code] for code in (0x01, 0x0B))


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
    """pyghmi's session on a socket of its own, in the event loop that runs.

    Its login is one that a lossy network and a slow BMC let through; the messages of a login may be
    sent as often as one likes.
    """

    ipmiversion: float
    logontries: int
    socket: socket.socket | None

    _logins = 0
    _timer: asyncio.TimerHandle | None = None
    reached: dict[Stage, float]

    def __new__(cls, *_arguments: Any, **_named: Any) -> Self:
        # pyghmi would hand out a session that it has to this BMC: here each one is new.
        made = object.__new__(cls)
        made.forbidsock = []
        made.allsockaddrs = []
        made.reached = {}
        return made

    def close(self) -> None:
        """Gives the socket back; nothing is sent or received any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.waiting_sessions.pop(self, None)
        if self.socket is not None:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socketpool.pop(self.socket, None)
            self.socket.close()
            self.socket = None

    def _assignsocket(self, server: Any = None, forbiddensockets: Any = ()) -> Any:
        del server, forbiddensockets
        family = socket.AF_INET6 if ":" in self.bmc else socket.AF_INET
        mine = socket.socket(family, socket.SOCK_DGRAM)
        mine.setblocking(False)
        self.socketpool[mine] = 1
        asyncio.get_running_loop().add_reader(mine, self._readable)
        return mine

    def _readable(self) -> None:
        while self.socket is not None:
            try:
                datagram, sender = self.socket.recvfrom(_DATAGRAM_BYTES)
            except OSError:
                return  # nothing more, or what the network says of a datagram before
            rmcp = (datagram[:1], datagram[2:4])
            if sender[:2] != (self.bmc, self.port) or rmcp != _RMCP:
                continue
            if len(datagram) < _SHORTEST_BYTES:
                continue
            try:
                self._handle_ipmi_packet(bytearray(datagram), qent=(None, None, None))
            except Exception:  # noqa: BLE001, S112 - nonsense from the network is as good as nothing
                continue

    def _xmit_packet(
        self, retry: bool = True, delay_xmit: Any = None, timeout: float | None = None
    ) -> None:
        del delay_xmit
        if self.sequencenumber:
            self.sequencenumber += 1
        if self.socket is None:
            return
        with suppress(OSError):  # as a datagram that the network lost
            self.socket.sendto(self.netpacket, (self.bmc, self.port))
        if retry:
            seconds = self.timeout if timeout is None else timeout
            self.waiting_sessions[self] = {}  # taken out by pyghmi when the answer comes
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        if self.waiting_sessions.pop(self, None) is not None:
            self._timedout()

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
        if self.sessioncontext == "ESTABLISHED":
            self.onlogon({"error": "the session was lost"})
            return
        if self.ipmiversion != _IPMI_2:
            super()._relog()
            return
        # What the channel can do is known; only the session is new. One exchange less to be lost.
        self._initsession()
        self.ipmiversion = _IPMI_2
        self.ipmicallback = self._got_channel_auth_cap
        self._open_rmcpplus_request()

    def _timedout(self) -> None:
        if self.logging:
            # pyghmi adds a second each time, and gives up after the second time.
            self.timeout -= 1 - _LOGIN_SECONDS
            self.logontries = max(self.logontries, 1)
        super()._timedout()

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        if "error" not in response:
            self.reached.setdefault(Stage.PING, time.monotonic())
        super()._got_channel_auth_cap(response)

    def _send_rakp1(self) -> None:
        self.reached.setdefault(Stage.SESSION, time.monotonic())
        super()._send_rakp1()

    def _req_priv_level(self) -> None:
        # pyghmi's own waits in place for the answer.
        self.logged = 1
        self.logoutexpiry = None
        self.ipmicallback = self._got_privilege_level
        netfn, command = _SET_PRIVILEGE_LEVEL
        self._send_ipmi_net_payload(netfn=netfn, command=command, data=[self.privlevel])

    def _got_privilege_level(self, response: dict[str, Any]) -> None:
        if "error" in response:
            self.onlogon(response)
        elif response["code"]:
            self.onlogon({"error": "privilege level refused"})
        else:
            self.logging = False
            self.reached.setdefault(Stage.PASSWORD, time.monotonic())
            self.onlogon({"success": True})


class IpmiSession:
    """An established RMCP+ session with one BMC."""

    def __init__(self, endpoint: BmcEndpoint, session: _PyghmiSession) -> None:
        """See `log_in`."""
        self.endpoint = endpoint
        self._session = session
        self._turn = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """Whether pyghmi would send on it, and at once."""
        held = self._session.lastpayload or self._session.pendingpayloads
        return bool(self._session.logged) and not self._session.broken and not held

    async def ask(
        self, netfn: int, command: int, data: bytes = b"", *, seconds: float, lun: int = 0
    ) -> Answer:
        """Sends one request in exactly one datagram, and waits so long for its answer.

        Raises Unanswered, and NotSent when it did not leave.
        """
        async with self._turn:
            if not self.alive:
                raise NotSent
            return await self._ask(netfn, command, data, seconds, lun)

    async def _ask(self, netfn: int, command: int, data: bytes, seconds: float, lun: int) -> Answer:
        session = self._session
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def take(response: dict[str, Any]) -> None:
            told = (response.get("netfn"), response.get("command"))
            if not answered.done() and told == (netfn + 1, command):
                answered.set_result(response)

        # The number of a request is its own: what comes late for an earlier one matches nothing.
        session.request_entry.clear()
        session.seqlun = (session.seqlun + 1) & 0x3F
        session.incommand = False
        try:
            session.raw_command(
                netfn=netfn, command=command, data=data, retry=False, callback=take, rslun=lun
            )
        except exceptions.PyghmiException:
            raise NotSent from None  # raised by its check before it sends, and only there
        try:
            async with asyncio.timeout(seconds):
                response = await answered
        except TimeoutError:
            raise Unanswered from None
        return Answer(int(response["code"]), bytes(response["data"]))

    def take_serial(self, handler: Callable[[Any], None] | None) -> None:
        """Gives what comes as Serial over LAN to `handler`, or to nobody."""
        self._session.sol_handler = handler

    @property
    def number(self) -> int:
        """The id that the BMC gave it, section 13.6."""
        return int(self._session.sessionid)

    @property
    def has_serial(self) -> bool:
        """Whether somebody takes what comes as Serial over LAN."""
        return self._session.sol_handler is not None

    def send_serial(self, payload: bytes) -> None:
        """Sends a payload of Serial over LAN, in one datagram. Raises NotSent."""
        if not self.alive:
            raise NotSent
        self._session.send_payload(
            bytearray(payload), payload_type=constants.payload_types["sol"], retry=False
        )

    def logout(self) -> None:
        """Close Session (section 22.19): gives the BMC its session slot back."""
        self._session.sol_handler = None  # or pyghmi waits for it to be deactivated
        self._session.incommand = False
        with suppress(exceptions.PyghmiException):  # it is gone already
            self._session.logout(sessionok=False)
        self._session.close()


async def timed_login(endpoint: BmcEndpoint, reached: dict[Stage, float]) -> bool:
    """Logs in once, and out again: whether the login is wrong. Whoever calls sets the deadline.

    `reached` is told when each stage was passed, on the monotonic clock.
    """
    session, problem = await _try_login(endpoint, reached)
    if session is not None:
        IpmiSession(endpoint, session).logout()
    return any(text in problem for text in _LOGIN_IS_WRONG)


async def log_in(endpoint: BmcEndpoint, tell: Callable[[Trouble], None]) -> IpmiSession:
    """Logs in, again and again until it works: whoever calls sets the deadline.

    `tell` hears why it did not work yet. Raises BmcAuthFailed at once.
    """
    while True:
        session, problem = await _try_login(endpoint)
        if session is not None:
            return IpmiSession(endpoint, session)
        if any(text in problem for text in _LOGIN_IS_WRONG):
            raise BmcAuthFailed
        full = any(text in problem for text in _NO_SESSION)
        tell(Trouble.NO_FREE_SESSION if full else Trouble.NO_ANSWER)
        await asyncio.sleep(_LOGIN_PAUSE_SECONDS)


async def _try_login(
    endpoint: BmcEndpoint, reached: dict[Stage, float] | None = None
) -> tuple[_PyghmiSession | None, str]:
    """One login: the session, or None and what pyghmi said; when each stage was `reached`."""
    outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def take(parameter: dict[str, Any]) -> None:
        if not outcome.done():
            outcome.set_result(parameter)

    session = None
    told: dict[str, Any] = {}
    try:
        session = _PyghmiSession(
            bmc=endpoint.address,
            port=endpoint.port,
            userid=endpoint.username,
            password=endpoint.password,
            # Named, so that pyghmi does not try an unauthorized name once more at a lower level.
            privlevel=_OPERATOR,
            onlogon=take,
            keepalive=False,
        )
        if reached is not None:
            session.reached = reached
        told = await outcome
    except (exceptions.PyghmiException, OSError) as error:
        told = {"error": str(error)}
    finally:
        if session is not None and "success" not in told:
            session.close()
    return (None, str(told["error"])) if "error" in told else (session, "")
