"""A DNS blocklist with Spamhaus's return codes."""

import asyncio
import time
from collections.abc import Callable

import dns.resolver
import structlog
from cachetools import TLRUCache

from services.runtime.clock import Clock, system_clock
from services.security.adapters.dnsbl.names import Answer, Names
from services.security.adapters.dnsbl.questions import Question, Questions, Server
from services.security.antispam.listing import LookUp
from services.security.antispam.return_codes import errors, from_answers, not_in_table

SECONDS = 3.0
AT_ONCE = 512
CACHED = 100_000
LEAST_CACHE_SECONDS = 5
LONGEST_CACHE_SECONDS = 3600
"""However long a zone says: an address that was delisted is not called listed for a day."""
WARNING_SECONDS = 600.0
"""An operator is told of the same trouble once in so long."""

log = structlog.get_logger()


class Dnsbl:
    """Implements Blocklist.

    Callers who ask for one address at the same time share one question. What was answered is kept
    as long as the zone allows, but at least LEAST_CACHE_SECONDS; that it is not known, so long.

    It belongs to the event loop in which it is first asked.
    """

    def __init__(
        self,
        zone: str,
        resolver: Server | None = None,
        clock: Clock = system_clock,
        *,
        timer: Callable[[], float] = time.monotonic,
        seconds: float = SECONDS,
        at_once: int = AT_ONCE,
        longest_cache_seconds: float = LONGEST_CACHE_SECONDS,
    ) -> None:
        """Nothing of `zone` is ever told, since it may hold the key of a customer of Spamhaus.

        Without `resolver` the machine's own are asked. An answer is waited for `seconds`, and
        `at_once` answers are waited for at a time. `timer` counts seconds for what is kept.

        Raises ValueError: `zone` is no domain name, or the resolver has no address.
        """
        self._names = Names(zone)
        self._clock = clock
        self._timer = timer
        self._longest_cache_seconds = longest_cache_seconds
        self._kept: TLRUCache[str, tuple[LookUp, float]] = TLRUCache(
            CACHED, lambda _, kept, now: now + kept[1], timer
        )
        self._newest: dict[str, Question] = {}
        servers = [resolver] if resolver else _own_resolvers()
        self._questions = Questions(
            servers, self._names, clock, self._told, seconds=seconds, at_once=at_once
        )
        self._warned: dict[str, float] = {}

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        """See Blocklist."""
        if not fresh and (kept := self._kept.get(ip)):
            return kept[0]
        question = self._newest.get(ip)
        # Who wants it fresh is not served by a question that left before.
        if question is None or (fresh and question.time):
            try:
                question = Question(ip, self._names.question(ip))
            except ValueError:
                return LookUp(ip, (), "That is no IP address.", self._clock())
            self._newest[ip] = question
            self._questions.ask(question)
        # Of each caller: one who does not wait any longer must not take the answer from the others.
        answer: asyncio.Future[LookUp] = asyncio.get_running_loop().create_future()
        question.callers.append(answer)
        return await answer

    async def close(self) -> None:
        """Gives its sockets back. Who still waits is told that it is not known."""
        await self._questions.close()

    def _told(self, question: Question, answer: Answer) -> None:
        """Called once for each question."""
        look_up = self._look_up(question, answer)
        # A later question knows better; this one's answer is for those who asked it.
        if self._newest.get(question.ip) is question:
            del self._newest[question.ip]
            seconds = 0.0 if look_up.unknown else min(answer.ttl, self._longest_cache_seconds)
            self._kept[question.ip] = look_up, max(seconds, LEAST_CACHE_SECONDS)
        for caller in question.callers:
            if not caller.done():
                caller.set_result(look_up)

    def _look_up(self, question: Question, answer: Answer) -> LookUp:
        when = question.time or self._clock()
        if not answer.codes:
            return LookUp(question.ip, (), answer.failure, when)
        for code in errors(answer.codes):
            self._warn("Spamhaus does not answer our questions", code)
        for code in not_in_table(answer.codes):
            self._warn("a DNS blocklist answers with an unknown code", code)
        return from_answers(question.ip, answer.codes, when)

    def _warn(self, event: str, code: str) -> None:
        now = self._timer()
        if now >= self._warned.get(event, now):
            self._warned[event] = now + WARNING_SECONDS
            log.warning(event, code=code)


def _own_resolvers() -> list[Server]:
    """Those of /etc/resolv.conf. Raises ValueError: there are none."""
    try:
        found = dns.resolver.Resolver()
    except (dns.resolver.NoResolverConfiguration, OSError):
        raise ValueError("This machine has no resolver: /etc/resolv.conf names none.") from None
    return [(str(address), found.port) for address in found.nameservers]
