"""A DNS blocklist's client, at a resolver that says what it is told to."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from services.security.adapters.dnsbl import blocklist as blocklist_module
from services.security.adapters.dnsbl import names, questions
from services.security.adapters.dnsbl.blocklist import Dnsbl
from services.security.antispam.listing import SpamhausList

KEY = "abcdefghijklmnopqrstuvwxyz"
ZONE = f"{KEY}.zen.dq.spamhaus.net"
IP = "192.0.2.7"
NAME = f"7.2.0.192.{ZONE}."
CLEAN = "192.0.2.99"
SOA = "ns.invalid. hostmaster.invalid. 1 3600 600 86400"

Datagrams = list[bytes]
Script = Callable[[dns.message.Message], Datagrams]


@dataclass
class FakeResolver(asyncio.DatagramProtocol):
    """Answers each question as `script` says; without one, from `listed`."""

    listed: dict[str, list[str]] = field(default_factory=dict)
    ttl: int = 300
    minimum: int = 60
    script: Script | None = None
    silent: int = 0
    """So many datagrams it does not answer; -1: none."""
    asked: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    sources: set[tuple[str, int]] = field(default_factory=set)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    held: list[tuple[bytes, tuple[str, int]]] | None = None
    """What is answered when `release` says so; None: at once."""
    address: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        self.asked.append(str(question.question[0].name))
        self.ids.append(question.id)
        self.sources.add(addr)
        self.heard.set()
        if self.silent:
            self.silent -= 1
            return
        for datagram in self.script(question) if self.script else [self.answer(question).to_wire()]:
            if self.held is None:
                self.transport.sendto(datagram, addr)
            else:
                self.held.append((datagram, addr))

    def release(self) -> None:
        for datagram, addr in self.held or []:
            self.transport.sendto(datagram, addr)
        self.held = None

    def answer(self, question: dns.message.Message) -> dns.message.Message:
        name = question.question[0].name
        codes = self.listed.get(str(name), [])
        if codes:
            return answering(question, *codes, ttl=self.ttl)
        answer = answering(question, rcode=dns.rcode.NXDOMAIN)
        soa = dns.rrset.from_text(f"{ZONE}.", 900, "IN", "SOA", f"{SOA} {self.minimum}")
        answer.authority.append(soa)
        return answer


def answering(
    question: dns.message.Message,
    *codes: str,
    ttl: int = 300,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
) -> dns.message.Message:
    answer = dns.message.make_response(question, recursion_available=True)
    answer.set_rcode(rcode)
    if codes:
        name = question.question[0].name
        answer.answer.append(dns.rrset.from_text(name, ttl, "IN", "A", *codes))
    return answer


def codes(*these: str) -> Script:
    return lambda question: [answering(question, *these).to_wire()]


def failing(rcode: dns.rcode.Rcode) -> Script:
    return lambda question: [answering(question, rcode=rcode).to_wire()]


class Timer:
    """Moved by the test."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Setting:
    resolver: FakeResolver
    blocklist: Dnsbl
    timer: Timer


@asynccontextmanager
async def resolving(address: str = "127.0.0.1") -> AsyncIterator[FakeResolver]:
    loop = asyncio.get_running_loop()
    fake = FakeResolver()
    transport, _ = await loop.create_datagram_endpoint(lambda: fake, local_addr=(address, 0))
    yield fake
    transport.close()


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with resolving() as fake:
        fake.listed = {NAME: ["127.0.0.4"]}
        timer = Timer()
        blocklist = Dnsbl(ZONE, fake.address, lambda: NOW, timer=timer)
        yield Setting(fake, blocklist, timer)
        await blocklist.close()


NOW = datetime(2026, 11, 25, tzinfo=UTC)


def nobody() -> tuple[str, int]:
    """Where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address: tuple[str, int] = gone.getsockname()
    return address


def impatient(fake: FakeResolver, **options: float) -> Dnsbl:
    return Dnsbl(ZONE, fake.address, seconds=options.get("seconds", 0.15))


# What is asked


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("192.0.2.7", f"7.2.0.192.{ZONE}."),
        ("0.10.200.255", f"255.200.10.0.{ZONE}."),
        ("2001:db8::a7", f"7.a.{'0.' * 22}8.b.d.0.1.0.0.2.{ZONE}."),
    ],
)
async def test_the_name_is_the_address_in_reverse_before_the_zone(
    setting: Setting, ip: str, name: str
) -> None:
    await setting.blocklist.look_up(ip)
    assert setting.resolver.asked == [name]


@given(ip=st.ip_addresses().map(str))
def test_the_question_is_the_one_that_dnspython_makes(ip: str) -> None:
    reverse = dns.reversename.from_address(ip)
    name = dns.name.Name([*reverse.labels[:-3], *dns.name.from_text(ZONE).labels])
    made = dns.message.make_query(name, dns.rdatatype.A).to_wire()
    if not ip.startswith("::ffff:"):  # which dnspython takes for an IPv4 address
        assert names.Names(ZONE).question(ip) == made[2:]


@pytest.mark.parametrize("ip", ["", "192.0.2", "192.0.2.256", "192.0.2.07", "example.net", "::g"])
async def test_what_is_no_address_is_not_asked_for(setting: Setting, ip: str) -> None:
    look_up = await setting.blocklist.look_up(ip)
    assert look_up.unknown == "That is no IP address."
    assert not setting.resolver.asked


@pytest.mark.parametrize("zone", ["", ".", "a..b", f"{'a' * 64}.net", ".".join(["a" * 60] * 4)])
def test_what_cannot_be_a_zone_is_refused_without_being_told(zone: str) -> None:
    with pytest.raises(ValueError, match=r"^The zone of the DNS blocklist is no domain name\.$"):
        Dnsbl(zone, ("127.0.0.1", 53))


def test_a_resolver_is_an_address() -> None:
    with pytest.raises(ValueError, match="address of the resolver"):
        Dnsbl(ZONE, ("resolver.invalid", 53))


def test_without_a_resolver_the_machines_own_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "resolv.conf"
    real = dns.resolver.Resolver.read_resolv_conf
    monkeypatch.setattr(
        dns.resolver.Resolver, "read_resolv_conf", lambda self, _: real(self, str(config))
    )
    config.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert Dnsbl(ZONE)._questions._servers == [("192.0.2.53", 53), ("2001:db8::53", 53)]
    config.write_text("")
    with pytest.raises(ValueError, match="names none"):
        Dnsbl(ZONE)


# What is answered


async def test_a_listed_address(setting: Setting) -> None:
    look_up = await setting.blocklist.look_up(IP)
    assert (look_up.ip, look_up.unknown, look_up.time) == (IP, "", NOW)
    assert [(each.list, each.return_codes) for each in look_up.listings] == [
        (SpamhausList.XBL, ("127.0.0.4",))
    ]


async def test_two_listings_at_once(setting: Setting) -> None:
    setting.resolver.script = codes("127.0.0.9", "127.0.0.2")
    look_up = await setting.blocklist.look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.SBL, SpamhausList.DROP]


async def test_a_name_that_does_not_exist_is_clean(setting: Setting) -> None:
    look_up = await setting.blocklist.look_up(CLEAN)
    assert (look_up.listings, look_up.unknown) == ((), "")


async def test_a_name_without_an_address_is_clean(setting: Setting) -> None:
    setting.resolver.script = codes()
    look_up = await setting.blocklist.look_up(IP)
    assert (look_up.listings, look_up.unknown) == ((), "")


async def test_an_alias_is_followed(setting: Setting) -> None:
    def alias(question: dns.message.Message) -> Datagrams:
        answer = answering(question)
        name = question.question[0].name
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "listed.invalid."))
        answer.answer.append(dns.rrset.from_text("listed.invalid.", 60, "IN", "A", "127.0.0.3"))
        return [answer.to_wire()]

    setting.resolver.script = alias
    look_up = await setting.blocklist.look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.CSS]


async def test_letters_that_change_their_case_are_the_same(setting: Setting) -> None:
    def shouting(question: dns.message.Message) -> Datagrams:
        wire = answering(question, "127.0.0.2").to_wire()
        return [wire[:12] + wire[12:].replace(KEY.encode(), KEY.upper().encode())]

    setting.resolver.script = shouting
    assert (await setting.blocklist.look_up(IP)).listings


async def test_a_truncated_answer_is_fetched_whole(setting: Setting) -> None:
    def truncated(question: dns.message.Message) -> Datagrams:
        answer = answering(question)
        answer.flags |= dns.flags.TC
        return [answer.to_wire()]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        question = dns.message.from_wire(await reader.readexactly(size))
        writer.write(answering(question, "127.0.0.2", "127.0.0.30").to_wire(prepend_length=True))
        await writer.drain()
        writer.close()

    setting.resolver.script = truncated
    async with await asyncio.start_server(serve, *setting.resolver.address):
        look_up = await setting.blocklist.look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.SBL, SpamhausList.BCL]
    # Without a server for TCP:
    look_up = await setting.blocklist.look_up(IP, fresh=True)
    assert look_up.unknown == questions.UNREACHABLE


# What is not known


def _refer(question: dns.message.Message) -> Datagrams:
    answer = answering(question)
    answer.authority.append(dns.rrset.from_text("net.", 60, "IN", "NS", "ns.invalid."))
    return [answer.to_wire()]


def _dangle(question: dns.message.Message) -> Datagrams:
    answer = answering(question)
    name = question.question[0].name
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "elsewhere.invalid."))
    return [answer.to_wire()]


def _mistyped(question: dns.message.Message) -> Datagrams:
    answer = answering(question, rcode=dns.rcode.NXDOMAIN)
    answer.authority.append(dns.rrset.from_text("net.", 900, "IN", "SOA", f"{SOA} 900"))
    return [answer.to_wire()]


def _cut(question: dns.message.Message) -> Datagrams:
    return [answering(question, "127.0.0.2").to_wire()[:-2]]


def _contradict(question: dns.message.Message) -> Datagrams:
    return [answering(question, "127.0.0.2", rcode=dns.rcode.NXDOMAIN).to_wire()]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (failing(dns.rcode.SERVFAIL), "SERVFAIL"),
        (failing(dns.rcode.REFUSED), "REFUSED"),
        (failing(dns.rcode.NOTIMP), "NOTIMP"),
        (_refer, names.NOT_RECURSIVE),
        (_dangle, names.NOT_RECURSIVE),
        (_mistyped, names.NO_ZONE),
        (_cut, names.SENSELESS),
        (_contradict, names.SENSELESS),
        (codes("127.255.255.252"), "no list of the name"),
        (codes("127.255.255.253"), "127.255.255.253"),
        (codes("127.255.255.254"), "public resolver"),
        (codes("127.255.255.255"), "too often"),
        (codes("127.0.0.99"), "127.0.0.99"),
        (codes("10.0.0.1"), "makes answers up"),
    ],
)
async def test_a_failure_is_not_known_and_has_a_reason(
    setting: Setting, script: Script, reason: str
) -> None:
    setting.resolver.script = script
    look_up = await setting.blocklist.look_up(IP)
    assert not look_up.listings
    assert reason in look_up.unknown
    assert KEY not in look_up.unknown


def _other_id(question: dns.message.Message) -> Datagrams:
    answer = answering(question, "127.0.0.2")
    answer.id = question.id ^ 1
    return [answer.to_wire()]


def _other_question(question: dns.message.Message) -> Datagrams:
    other = dns.message.make_query(f"8.2.0.192.{ZONE}", "A", id=question.id)
    return [answering(other, "127.0.0.2").to_wire()]


def _other_type(question: dns.message.Message) -> Datagrams:
    return [answering(dns.message.make_query(NAME, "TXT", id=question.id)).to_wire()]


def _no_answer(question: dns.message.Message) -> Datagrams:
    return [question.to_wire()]


def _garbage(question: dns.message.Message) -> Datagrams:
    identity = question.id.to_bytes(2)
    return [b"", b"x", identity, identity + b"\x81\x80", identity + bytes(range(200))]


FORGED = [_other_id, _other_question, _other_type, _no_answer, _garbage]


@pytest.mark.parametrize("script", FORGED)
async def test_what_does_not_answer_the_question_is_passed_over(
    setting: Setting, script: Script
) -> None:
    setting.resolver.script = lambda question: [
        *script(question),
        answering(question, "127.0.0.4").to_wire(),
    ]
    look_up = await setting.blocklist.look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.XBL]


@pytest.mark.parametrize("script", FORGED)
async def test_only_what_does_not_answer_the_question_is_no_answer(
    setting: Setting, script: Script
) -> None:
    setting.resolver.script = script
    blocklist = impatient(setting.resolver)
    assert (await blocklist.look_up(IP)).unknown == questions.TIMED_OUT
    assert len(setting.resolver.asked) == 2


async def test_an_answer_from_elsewhere_is_passed_over(setting: Setting) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))

        def forge(question: dns.message.Message) -> Datagrams:
            for source in setting.resolver.sources:
                elsewhere.sendto(answering(question, "127.0.0.2").to_wire(), source)
            return []

        setting.resolver.script = forge
        look_up = await impatient(setting.resolver).look_up(IP)
    assert look_up.unknown == questions.TIMED_OUT


async def test_a_lost_datagram_is_sent_once_more(setting: Setting) -> None:
    setting.resolver.silent = 1
    look_up = await impatient(setting.resolver, seconds=1.0).look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.XBL]
    assert setting.resolver.asked == [NAME, NAME]


async def test_silence_is_not_waited_for_longer_than_told(setting: Setting) -> None:
    setting.resolver.silent = -1
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert (await impatient(setting.resolver).look_up(IP)).unknown == questions.TIMED_OUT
    assert 0.15 <= loop.time() - begin < 1.0
    assert setting.resolver.asked == [NAME, NAME]


async def test_where_nobody_listens_it_cannot_be_reached() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    blocklist = Dnsbl(ZONE, nobody(), seconds=1.5)
    assert (await blocklist.look_up(IP)).unknown == questions.UNREACHABLE
    assert loop.time() - begin < 1.4  # by the retry, and not by the deadline


@pytest.mark.parametrize("trouble", ["silent", "gone", "SERVFAIL"])
async def test_the_second_resolver_is_asked_when_the_first_fails(
    monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async with resolving() as second:
        second.listed = {NAME: ["127.0.0.4"]}
        async with resolving() as first:
            first.silent = -1 if trouble == "silent" else 0
            first.script = failing(dns.rcode.SERVFAIL)
            own = [nobody() if trouble == "gone" else first.address, second.address]
            monkeypatch.setattr(blocklist_module, "_own_resolvers", lambda: own)
            look_up = await Dnsbl(ZONE, seconds=0.6).look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.XBL]


# What is kept


async def test_an_answer_is_kept_as_long_as_its_ttl(setting: Setting) -> None:
    setting.resolver.ttl = 40
    first = await setting.blocklist.look_up(IP)
    setting.timer.now += 39
    assert await setting.blocklist.look_up(IP) is first
    assert len(setting.resolver.asked) == 1
    setting.timer.now += 2
    await setting.blocklist.look_up(IP)
    assert len(setting.resolver.asked) == 2


async def test_that_it_is_clean_is_kept_as_long_as_the_zone_says(setting: Setting) -> None:
    setting.resolver.minimum = 20
    for ip in (CLEAN, "192.0.2.98"):  # the second is read as the first was
        setting.resolver.asked.clear()
        await setting.blocklist.look_up(ip)
        setting.timer.now += 19
        await setting.blocklist.look_up(ip)
        assert len(setting.resolver.asked) == 1
        setting.timer.now += 2
        await setting.blocklist.look_up(ip)
        assert len(setting.resolver.asked) == 2


@pytest.mark.parametrize(("ttl", "kept"), [(0, 5), (1, 5), (86_400, 3_600)])
async def test_nothing_is_kept_too_short_or_too_long(setting: Setting, ttl: int, kept: int) -> None:
    setting.resolver.ttl = setting.resolver.minimum = ttl
    await setting.blocklist.look_up(IP)
    setting.timer.now += kept - 1
    await setting.blocklist.look_up(IP)
    assert len(setting.resolver.asked) == 1
    setting.timer.now += 2
    await setting.blocklist.look_up(IP)
    assert len(setting.resolver.asked) == 2


@pytest.mark.parametrize("script", [failing(dns.rcode.SERVFAIL), codes("127.255.255.254")])
async def test_that_it_is_not_known_is_kept_for_seconds(setting: Setting, script: Script) -> None:
    setting.resolver.script = script
    await setting.blocklist.look_up(IP)
    setting.timer.now += 4
    await setting.blocklist.look_up(IP)
    assert len(setting.resolver.asked) == 1
    setting.resolver.script = None
    setting.timer.now += 2
    assert (await setting.blocklist.look_up(IP)).listings


async def test_fresh_asks_although_an_answer_is_kept(setting: Setting) -> None:
    assert (await setting.blocklist.look_up(IP)).listings
    setting.resolver.listed.clear()
    assert (await setting.blocklist.look_up(IP)).listings
    assert not (await setting.blocklist.look_up(IP, fresh=True)).listings
    assert not (await setting.blocklist.look_up(IP)).listings


# Many at once


async def test_callers_for_one_address_share_a_question(setting: Setting) -> None:
    told = await asyncio.gather(*(setting.blocklist.look_up(IP) for _ in range(50)))
    assert len({id(each) for each in told}) == 1
    assert setting.resolver.asked == [NAME]


async def test_fresh_callers_at_one_moment_share_a_question(setting: Setting) -> None:
    fresh = (setting.blocklist.look_up(IP, fresh=True) for _ in range(50))
    await asyncio.gather(setting.blocklist.look_up(IP), *fresh)
    assert setting.resolver.asked == [NAME]


async def test_fresh_is_not_served_by_a_question_that_left_before(setting: Setting) -> None:
    setting.resolver.held = []
    before = asyncio.create_task(setting.blocklist.look_up(IP))
    await setting.resolver.heard.wait()
    setting.resolver.heard.clear()
    setting.resolver.listed.clear()
    fresh = asyncio.create_task(setting.blocklist.look_up(IP, fresh=True))
    await setting.resolver.heard.wait()
    after = asyncio.create_task(setting.blocklist.look_up(IP))
    setting.resolver.held.reverse()  # the newer answer comes first
    setting.resolver.release()
    assert (await before).listings
    assert not (await fresh).listings
    assert await after is await fresh
    assert await setting.blocklist.look_up(IP) is await fresh
    assert len(setting.resolver.asked) == 2


async def test_a_caller_who_gives_up_takes_the_answer_from_nobody(setting: Setting) -> None:
    setting.resolver.held = []
    leaving, staying = (asyncio.create_task(setting.blocklist.look_up(IP)) for _ in range(2))
    await setting.resolver.heard.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    setting.resolver.release()
    assert (await staying).listings


async def test_thousands_at_once_are_bounded_and_each_has_its_own_answer() -> None:
    ips = [f"198.18.{number // 250}.{number % 250}" for number in range(5_000)]
    async with resolving() as fake:
        fake.listed = {
            f"{'.'.join(reversed(ip.split('.')))}.{ZONE}.": ["127.0.0.4"] for ip in ips[::7]
        }
        blocklist = Dnsbl(ZONE, fake.address, at_once=64)
        questions = blocklist._questions
        most: Counter[str] = Counter()
        received = fake.datagram_received

        def count(data: bytes, addr: tuple[str, int]) -> None:
            most["unanswered"] = max(most["unanswered"], questions._unanswered)
            received(data, addr)

        fake.datagram_received = count  # type: ignore[method-assign]
        told = await asyncio.gather(*map(blocklist.look_up, ips))
        assert [each.ip for each in told] == ips
        assert [bool(each.listings) for each in told] == [
            number % 7 == 0 for number in range(len(ips))
        ]
        assert {each.unknown for each in told} == {""}
        assert 32 < most["unanswered"] <= 64
        # Neither id nor port can be told from those before.
        assert len(set(fake.ids)) > 4_000
        assert 4 < len(fake.sources) < 64
        assert not any(questions._sockets)
        await blocklist.close()


async def test_thousands_wait_for_a_silent_resolver_no_longer_than_one(setting: Setting) -> None:
    setting.resolver.silent = -1
    blocklist = impatient(setting.resolver, seconds=0.3)
    ips = [f"198.18.{number // 250}.{number % 250}" for number in range(5_000)]
    loop = asyncio.get_running_loop()
    begin = loop.time()
    told = await asyncio.gather(*map(blocklist.look_up, ips))
    assert loop.time() - begin < 1.5
    assert {each.unknown for each in told} == {questions.TIMED_OUT}
    assert len(setting.resolver.asked) == 2 * questions.FIRST_AT_ONCE


async def test_losses_make_room_for_fewer_and_all_are_answered(setting: Setting) -> None:
    blocklist = impatient(setting.resolver, seconds=3.0)
    ips = [f"198.18.{number // 250}.{number % 250}" for number in range(1_000)]
    setting.resolver.silent = 20
    told = await asyncio.gather(*map(blocklist.look_up, ips))
    assert {each.unknown for each in told} == {""}
    assert len(setting.resolver.asked) == 1_020


async def test_closing_tells_who_waits_that_it_is_not_known(setting: Setting) -> None:
    setting.resolver.held = []
    waiting = asyncio.create_task(setting.blocklist.look_up(IP))
    await setting.resolver.heard.wait()
    await setting.blocklist.close()
    assert (await waiting).unknown == questions.STOPPED
    assert (await setting.blocklist.look_up(CLEAN)).unknown == questions.STOPPED


# What is told


@pytest.fixture
def logged() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.mark.parametrize("code", ["127.255.255.252", "127.255.255.254", "127.255.255.255"])
async def test_an_operator_is_warned_once_in_ten_minutes_that_spamhaus_does_not_answer(
    setting: Setting, logged: list[structlog.typing.EventDict], code: str
) -> None:
    setting.resolver.script = codes(code)
    for number in range(30):
        await setting.blocklist.look_up(f"192.0.2.{number}")
    [warning] = logged
    assert warning == {
        "event": "Spamhaus does not answer our questions",
        "code": code,
        "log_level": "warning",
    }
    setting.timer.now += timedelta(minutes=10).total_seconds()
    await setting.blocklist.look_up("192.0.2.200")
    assert len(logged) == 2


async def test_an_unknown_code_beside_a_known_one_is_logged(
    setting: Setting, logged: list[structlog.typing.EventDict]
) -> None:
    setting.resolver.script = codes("127.0.0.4", "127.0.0.77")
    look_up = await setting.blocklist.look_up(IP)
    assert [each.list for each in look_up.listings] == [SpamhausList.XBL]
    assert [each["code"] for each in logged] == ["127.0.0.77"]


async def test_the_key_is_nowhere_to_be_read(
    setting: Setting,
    logged: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("DEBUG")
    asyncio.get_running_loop().set_debug(True)
    told = []
    scripts = [
        _cut,
        _contradict,
        _mistyped,
        failing(dns.rcode.SERVFAIL),
        codes("127.255.255.254"),
        codes("127.0.0.4", "127.0.0.77"),
        codes("10.0.0.1"),
        lambda question: [answering(question, "127.0.0.2").to_wire()[:2] + b"\x83\x80"],
    ]
    for number, script in enumerate(scripts):
        setting.resolver.script = script
        told.append(await impatient(setting.resolver).look_up(f"192.0.2.{number}"))
    seen = [
        *map(repr, told),
        repr(logged),
        caplog.text,
        *capfd.readouterr(),
        repr(setting.blocklist),
    ]
    assert not [each for each in seen if KEY in each.lower()]
