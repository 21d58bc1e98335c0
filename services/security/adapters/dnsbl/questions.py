"""Many DNS questions at once over few sockets."""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import dns.asyncquery
import dns.exception
import dns.message

from services.runtime.clock import Clock
from services.security.adapters.dnsbl.names import SENSELESS, Answer, Names, failed
from services.security.antispam.listing import LookUp

TRIES = 2
RETRY_AFTER = 1 / 3
"""Of the time that an answer is waited for."""
FIRST_AT_ONCE = 32
"""The first questions, and the least after losses: a server's buffer may hold no more at once."""
SOCKETS = 4
QUESTIONS_OF_A_SOCKET = 1_000
"""Then a socket gives way to another, with another port: who forges answers must guess both port
and id (RFC 5452 section 4)."""
DATAGRAMS_AT_ONCE = 64
LONGEST_DATAGRAM = 4096
"""We do not offer EDNS, so no answer is longer than 512 octets."""

TIMED_OUT = "The resolver did not answer in time."
UNREACHABLE = "The resolver cannot be reached."
STOPPED = "The look-up was stopped."

Server = tuple[str, int]
"""A DNS server: its address and port."""

_TRUNCATED = 0b10
"""Of a message's third octet (RFC 1035 section 4.1.1)."""

_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""As sockets have it."""


class Socket:
    """A connected UDP socket: the system drops what comes from elsewhere."""

    __slots__ = ("asked", "awaited", "connection")

    def __init__(self, family: int, address: _Address) -> None:
        """Raises OSError."""
        self.connection = socket.socket(family, socket.SOCK_DGRAM)
        self.connection.setblocking(False)
        try:
            self.connection.connect(address)
        except OSError:
            self.connection.close()
            raise
        self.awaited: dict[int, Question] = {}
        self.asked = 0


class Question:
    __slots__ = (
        "callers",
        "failure",
        "ip",
        "places",
        "sent",
        "settled",
        "tcp",
        "time",
        "tries",
        "wire",
    )

    def __init__(self, ip: str, wire: bytes) -> None:
        """`wire` is the message after its id."""
        self.ip = ip
        self.wire = wire
        self.callers: list[asyncio.Future[LookUp]] = []
        self.time: datetime | None = None
        """When it was first sent; None: it waits for its turn."""
        self.sent = 0.0
        """The same by the event loop's clock."""
        self.tries = 0
        self.places: list[tuple[Socket, int]] = []
        """Where an answer may come in, and with which id."""
        self.failure = TIMED_OUT
        """What it comes to without an answer."""
        self.tcp = False
        """An answer came that is too long for UDP: the whole of it is being fetched."""
        self.settled = False


class Questions:
    """Many questions at once over few sockets.

    A datagram that is lost is sent once more, to the next server if there is one. Who waits for a
    turn while the servers say nothing at all is not made to wait for a deadline of its own.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        names: Names,
        clock: Clock,
        told: Callable[[Question, Answer], None],
        *,
        seconds: float,
        at_once: int,
    ) -> None:
        """Calls `told` once for each question. Raises ValueError: a server's address is none."""
        self._servers = servers
        self._addresses = [_numeric(server) for server in servers]
        self._names = names
        self._clock = clock
        self._told = told
        self._seconds = seconds
        self._at_once = at_once
        self._room = float(min(FIRST_AT_ONCE, at_once))
        """So many answers are waited for: one more when as many came, half after losses."""
        self._waiting: deque[Question] = deque()
        self._unanswered = 0
        # In the order in which they were sent, and so in that in which each is due.
        self._retries: deque[Question] = deque()
        self._deadlines: deque[Question] = deque()
        self._sockets: list[list[Socket]] = [[] for _ in servers]
        """To each server, those that take questions."""
        self._reading: Socket | None = None
        self._heard = 0.0
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def ask(self, question: Question) -> None:
        """Sends it when it is its turn, and never before the event loop goes on."""
        self._waiting.append(question)
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._next)

    async def close(self) -> None:
        """Settles all, and closes all."""
        self._closed = True
        for question in [*self._deadlines, *self._waiting]:
            self._settle(question, failed(STOPPED))
        for due in (self._waiting, self._retries, self._deadlines):
            due.clear()
        if self._timer:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _next(self) -> None:
        """Sends what may be sent."""
        self._turn = None
        now = asyncio.get_running_loop().time()
        while self._waiting and self._unanswered < self._room:
            question = self._waiting.popleft()
            if self._closed:
                self._settle(question, failed(STOPPED))
                continue
            self._unanswered += 1
            question.time = self._clock()
            question.sent = now
            self._retries.append(question)
            self._deadlines.append(question)
            self._send(question)
        self._wake()

    def _send(self, question: Question) -> None:
        place = question.tries % len(self._servers)
        question.tries += 1
        try:
            through = self._socket(place)
        except OSError:
            self._fail(question)
            return
        while (identity := secrets.randbits(16)) in through.awaited:
            pass
        through.awaited[identity] = question
        question.places.append((through, identity))
        try:
            through.connection.send(identity.to_bytes(2) + question.wire)
        except BlockingIOError:
            pass  # as good as lost
        except OSError:
            self._refused(through)

    def _socket(self, place: int) -> Socket:
        """One to the server at this place, with a port that nobody can tell. Raises OSError."""
        sockets = self._sockets[place]
        if len(sockets) < SOCKETS:
            chosen = Socket(*self._addresses[place])
            asyncio.get_running_loop().add_reader(chosen.connection, self._readable, chosen)
            sockets.append(chosen)
        else:
            chosen = sockets[secrets.randbits(16) % SOCKETS]
        chosen.asked += 1
        if chosen.asked >= QUESTIONS_OF_A_SOCKET:
            sockets.remove(chosen)
        return chosen

    def _readable(self, through: Socket) -> None:
        self._reading = through
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                datagram = through.connection.recv(LONGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                self._refused(through)
            else:
                self._receive(through, datagram)
        if self._waiting:
            self._next()
        self._reading = None
        self._close_idle(through)

    def _receive(self, through: Socket, datagram: bytes) -> None:
        """What answers no question of this socket is passed over: it may be forged."""
        self._heard = asyncio.get_running_loop().time()
        self._room = min(self._room + 1 / self._room, self._at_once)
        question = through.awaited.get(int.from_bytes(datagram[:2]))
        if question is None or not self._names.answers(datagram, question.wire):
            return
        if datagram[2] & _TRUNCATED:
            self._leave(question)
            question.tcp = True
            task = asyncio.get_running_loop().create_task(self._over_tcp(question))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        answer = self._names.read(datagram, question.wire)
        if answer.failure and self._another(question):
            question.failure = answer.failure
            self._send(question)
        else:
            self._settle(question, answer)

    def _another(self, question: Question) -> bool:
        """Whether there is a server that was not asked, and may be."""
        return question.tries < min(TRIES, len(self._servers))

    async def _over_tcp(self, question: Question) -> None:
        """A truncated answer, whole."""
        loop = asyncio.get_running_loop()
        address, port = self._servers[(question.tries - 1) % len(self._servers)]
        seconds = question.sent + self._seconds - loop.time()
        try:
            # Nothing that is raised here is told: its text holds the name that was asked for.
            asked = dns.message.from_wire(secrets.token_bytes(2) + question.wire)
            got = await dns.asyncquery.tcp(asked, address, seconds, port)
            answer = self._names.meaning(got)
        except (TimeoutError, dns.exception.Timeout):
            answer = failed(TIMED_OUT)
        except OSError:
            answer = failed(UNREACHABLE)
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes lead a decoder to
            answer = failed(SENSELESS)
        self._settle(question, answer)
        if self._waiting:
            self._next()

    def _refused(self, through: Socket) -> None:
        """The system says that what was sent did not arrive, and not which."""
        for question in set(through.awaited.values()):
            self._fail(question)

    def _fail(self, question: Question) -> None:
        """It did not leave, or did not arrive. Whoever restarts is there again for the retry."""
        question.failure = UNREACHABLE
        if question.tries >= TRIES:
            self._settle(question, failed(UNREACHABLE))
        elif self._another(question):
            self._send(question)

    def _settle(self, question: Question, answer: Answer) -> None:
        if question.settled:
            return
        question.settled = True
        if question.time:
            self._unanswered -= 1
        self._leave(question)
        self._told(question, answer)

    def _leave(self, question: Question) -> None:
        """No datagram answers it any more."""
        for through, identity in question.places:
            del through.awaited[identity]
            # From the one that is being read others may come, and others be sent by it.
            if through is not self._reading:
                self._close_idle(through)
        question.places.clear()

    def _close_idle(self, through: Socket) -> None:
        """Closes a socket by which no answer is awaited: the next question has another port."""
        if through.awaited:
            return
        asyncio.get_running_loop().remove_reader(through.connection)
        through.connection.close()
        for sockets in self._sockets:
            if through in sockets:
                sockets.remove(through)

    def _wake(self) -> None:
        """Sets the timer for what is due next."""
        due = [
            questions[0].sent + seconds
            for questions, seconds in self._due()
            if _drop_settled(questions)
        ]
        if self._timer and (not due or self._timer.when() <= min(due)):
            return  # to wake up too early costs nothing
        if self._timer:
            self._timer.cancel()
        if due:
            self._timer = asyncio.get_running_loop().call_at(min(due), self._tick)

    def _due(self) -> list[tuple[deque[Question], float]]:
        return [
            (self._retries, self._seconds * RETRY_AFTER),
            (self._deadlines, self._seconds),
        ]

    def _tick(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        (retries, retry_seconds), (deadlines, seconds) = self._due()
        while _drop_settled(retries) and retries[0].sent + retry_seconds <= now:
            question = retries.popleft()
            if not question.tcp and question.tries < TRIES:
                self._room = max(self._room // 2, min(FIRST_AT_ONCE, self._at_once))
                self._send(question)
        while _drop_settled(deadlines) and deadlines[0].sent + seconds <= now:
            question = deadlines.popleft()
            self._settle(question, failed(question.failure))
            if self._heard < question.sent:
                while self._waiting:
                    self._settle(self._waiting.popleft(), failed(question.failure))
        self._next()


def _numeric(server: Server) -> tuple[int, _Address]:
    try:
        found = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        raise ValueError("The address of the resolver is none.") from None
    family, _, _, _, address = found[0]
    return family, address


def _drop_settled(questions: deque[Question]) -> bool:
    """Whether one is left."""
    while questions and questions[0].settled:
        questions.popleft()
    return bool(questions)
