"""What stands in for the world around security, in memory."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from f2h.access.v1.principal_pb2 import Principal

from services.runtime.access import Audience
from services.runtime.audit import Attempt, Outcome
from services.runtime.call import Caller
from services.security.antihack.fail2ban import Ban, BanList, Health, SourceBusy, SourceFailed
from services.security.antispam.gate import GateFailed
from services.security.antispam.listing import Delisting, Listing, LookUp, SpamhausList
from services.security.gateways.gateway import Gateway
from services.security.inventory.located import Located, LocatedIp

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

NS1 = Located("ns1.example.net", "demo", ("203.0.113.9", "2001:db8::9"))
NS2 = Located("ns2.example.net", "other", ("203.0.113.90",))


def gateway(name: str = "gw1", **fields: Any) -> Gateway:
    """A gateway before the servers of the tests."""
    networks = ("203.0.113.0/24", "2001:db8::/32")
    return Gateway(**{"name": name, "region": "EU", "networks": networks, "ssh": None, **fields})


def listing(name: SpamhausList, code: str = "127.0.0.4") -> Listing:
    return Listing(name, (code,), Delisting.SELF, f"https://check.example.org/{name.lower()}")


def caller(subject: str = "0" * 16, account: str = "demo") -> Caller:
    """A person who calls."""
    principal = Principal(audience=Audience.SESSION, subject=subject, account=account)
    return Caller(principal, "", None)


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class FakeInventory:
    """Implements Inventory."""

    def __init__(self, *servers: Located) -> None:
        self.servers = [*servers]
        self.failure: Exception | None = None
        self.fail_for: dict[str, Exception] = {}
        """By hostname or address."""

    async def server(self, hostname: str) -> Located | None:
        self._fail(hostname)
        return next((each for each in self.servers if each.hostname == hostname), None)

    async def with_ip(self, ip: str) -> Located | None:
        self._fail(ip)
        return next((each for each in self.servers if ip in each.ips), None)

    async def addresses(self) -> AsyncIterator[LocatedIp]:
        self._fail("")
        for server in self.servers:
            for ip in server.ips:
                yield LocatedIp(ip, server.hostname, server.account)

    def _fail(self, asked: str) -> None:
        failure = self.failure or self.fail_for.get(asked)
        if failure is not None:
            raise failure


class FakeGateways:
    """Implements Gateways."""

    def __init__(self, *gateways: Gateway) -> None:
        self._gateways = {each.name: each for each in gateways}

    async def all(self) -> list[Gateway]:
        return [self._gateways[name] for name in sorted(self._gateways)]

    async def put(self, gateway: Gateway) -> None:
        self._gateways[gateway.name] = gateway

    async def delete(self, name: str) -> bool:
        return self._gateways.pop(name, None) is not None


class LazyBans(BanList):
    """Bans of which some cannot be read, which is noticed when they are looked at."""

    def __init__(self, bans: Mapping[str, Ban], unreadable: frozenset[str]) -> None:
        self._bans = dict(bans)
        self._unreadable = unreadable

    def __getitem__(self, ip: str) -> Ban:
        if ip in self._unreadable:
            raise SourceFailed(Health.UNREACHABLE, "Its fail2ban tells times that are none.")
        return self._bans[ip]

    def mark(self, ip: str) -> Ban:
        return self._bans[ip]

    def __contains__(self, ip: object) -> bool:
        return ip in self._bans

    def __iter__(self) -> Iterator[str]:
        return iter(self._bans)

    def __len__(self) -> int:
        return len(self._bans)


class FakeFail2ban:
    """Implements Fail2ban. Bans are by gateway's name, jail and address."""

    def __init__(self, clock: Callable[[], datetime] = lambda: NOW) -> None:
        self._clock = clock
        self.jails_of: dict[str, dict[str, dict[str, Ban]]] = defaultdict(dict)
        self.failing: dict[str, Health] = {}
        self.busy: set[str] = set()
        self.stubborn: set[tuple[str, str]] = set()
        """Jails, by gateway, that keep every ban although they are told to lift it."""
        self.failing_unbans: dict[tuple[str, str], Health] = {}
        self.vanishing: set[tuple[str, str]] = set()
        """Jails, by gateway, that are still named and gone when they are asked."""
        self.senseless: set[tuple[str, str]] = set()
        """Jails, by gateway, of which it answers nonsense."""
        self.unreadable: set[str] = set()
        """Addresses of whose bans the times are none."""
        self.asked: list[tuple[str, ...]] = []
        """The method, the gateway, and what else."""
        self.pause: asyncio.Event | None = None
        """What answers wait for, made from what is there when they are asked."""
        self.silent: set[str] = set()
        """Gateways that answer nothing, ever."""
        self.reached = asyncio.Event()
        """Somebody waits for `pause`, or for a silent gateway."""

    def jail(self, gateway: str, name: str, *ips: str, **fields: Any) -> None:
        """Makes a jail, if it is not there, and bans addresses in it."""
        bans = self.jails_of[gateway].setdefault(name, {})
        for ip in ips:
            since = self._clock()
            made = {"since": since, "expires": since + timedelta(hours=1), **fields}
            bans[ip] = Ban(ip, name, **made)

    def questions(self, method: str) -> int:
        return sum(1 for each in self.asked if each[0] == method)

    async def jails(self, gateway: Gateway) -> list[str]:
        self._come("jails", gateway.name)
        answer = [*self.jails_of[gateway.name]]
        await self._wait(gateway)
        return answer

    async def bans(self, gateway: Gateway, jail: str) -> BanList:
        self._come("bans", gateway.name, jail)
        answer = LazyBans(self._jail(gateway, jail), frozenset(self.unreadable))
        await self._wait(gateway)
        return answer

    async def holding(self, gateway: Gateway, ip: str) -> list[str]:
        self._come("holding", gateway.name, ip)
        answer = [name for name, bans in self.jails_of[gateway.name].items() if ip in bans]
        await self._wait(gateway)
        return answer

    async def unban(self, gateway: Gateway, jail: str, ip: str) -> bool:
        self._come("unban", gateway.name, jail, ip)
        if (gateway.name, jail) in self.failing_unbans:
            raise _failed(self.failing_unbans[gateway.name, jail])
        bans = self._jail(gateway, jail)
        if (gateway.name, jail) in self.stubborn:
            return ip in bans
        return bans.pop(ip, None) is not None

    def _come(self, method: str, gateway: str, *what: str) -> None:
        self.asked.append((method, gateway, *what))
        if gateway in self.busy:
            raise SourceBusy("Too many wait for it.")
        if gateway in self.failing:
            raise _failed(self.failing[gateway])

    def _jail(self, gateway: Gateway, jail: str) -> dict[str, Ban]:
        if (gateway.name, jail) in self.senseless:
            raise SourceFailed(Health.UNREACHABLE, "It answers nonsense.", answered=True)
        if (gateway.name, jail) in self.vanishing:
            raise LookupError("There is no such jail.")
        return self.jails_of[gateway.name][jail]

    async def _wait(self, gateway: Gateway) -> None:
        if gateway.name in self.silent:
            self.reached.set()
            await asyncio.Event().wait()
        if self.pause is not None:
            self.reached.set()
            await self.pause.wait()
            if gateway.name in self.failing:
                raise _failed(self.failing[gateway.name])


def _failed(health: Health) -> SourceFailed:
    return SourceFailed(health, f"It is {health.lower()}.")


class FakeGate:
    """Implements MailGate."""

    def __init__(self) -> None:
        self.held: dict[str, set[str]] = defaultdict(set)
        """The blocked addresses, by gateway."""
        self.failing: set[str] = set()
        self.faulty: set[str] = set()
        """Gateways where what asks them has a fault of ours."""
        self.pauses: dict[str, asyncio.Event] = {}
        """What the answers of gateways wait for."""
        self.reached = asyncio.Event()
        """Somebody waits for one of `pauses`."""
        self.deaf: set[str] = set()
        """Gateways that take every change, and make none."""
        self.calls: list[tuple[str, ...]] = []
        self.during: Callable[[str, str], Any] | None = None
        """Awaited within each change, before it is made, with "block" or "lift" and the address."""

    async def blocked(self, gateway: Gateway) -> frozenset[str]:
        await self._come("blocked", gateway)
        return frozenset(self.held[gateway.name])

    async def holds(self, gateway: Gateway, ip: str) -> bool:
        await self._come("holds", gateway, ip)
        return ip in self.held[gateway.name]

    async def block(self, gateway: Gateway, ips: Collection[str]) -> None:
        await self._come("block", gateway, *sorted(ips))
        await self._meanwhile("block", ips)
        if gateway.name not in self.deaf:
            self.held[gateway.name].update(ips)

    async def lift(self, gateway: Gateway, ips: Collection[str]) -> None:
        await self._come("lift", gateway, *sorted(ips))
        await self._meanwhile("lift", ips)
        if gateway.name not in self.deaf:
            self.held[gateway.name].difference_update(ips)

    def changes(self) -> list[tuple[str, ...]]:
        return [each for each in self.calls if each[0] in {"block", "lift"}]

    async def _come(self, method: str, gateway: Gateway, *what: str) -> None:
        self.calls.append((method, gateway.name, *what))
        if gateway.name in self.pauses:
            self.reached.set()
            await self.pauses[gateway.name].wait()
        if gateway.name in self.faulty:
            raise ZeroDivisionError
        if gateway.name in self.failing:
            raise GateFailed("It does not answer.")

    async def _meanwhile(self, method: str, ips: Collection[str]) -> None:
        if self.during is not None:
            for ip in sorted(ips):
                await self.during(method, ip)


class FakeBlocklist:
    """Implements Blocklist."""

    def __init__(self, clock: Callable[[], datetime] = lambda: NOW) -> None:
        self._clock = clock
        self.lists: dict[str, tuple[SpamhausList, ...]] = {}
        self.unknown = ""
        self.asked: list[tuple[str, bool]] = []
        """The address, and whether it was to be asked anew."""

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        self.asked.append((ip, fresh))
        if self.unknown:
            return LookUp(ip, (), self.unknown, self._clock())
        return LookUp(ip, tuple(map(listing, self.lists.get(ip, ()))), "", self._clock())


class Told:
    """Implements Publish: remembers what was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, account: str, event: str, data: Mapping[str, str]) -> None:
        self.events.append((account, event, dict(data)))


class FakeRecorder:
    """Implements Recorder: remembers what was recorded."""

    def __init__(self) -> None:
        self.attempts: list[tuple[Caller, Attempt]] = []
        self.outcomes: list[tuple[int, Outcome]] = []
        self.failure: Exception | None = None
        self.outcome_failure: Exception | None = None

    async def attempt(self, caller: Caller, attempt: Attempt) -> int:
        if self.failure is not None:
            raise self.failure
        self.attempts.append((caller, attempt))
        return len(self.attempts)

    async def outcome(self, caller: Caller, attempt: int, outcome: Outcome) -> None:
        if self.outcome_failure is not None:
            raise self.outcome_failure
        self.outcomes.append((attempt, outcome))
