"""The client of fail2ban, against gateways that misbehave."""

import asyncio
import pickle
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from services.security.adapters.fail2ban import client as client_module
from services.security.adapters.fail2ban.client import FIND_SERVER, THREAD_BYTES, Fail2banClient
from services.security.adapters.fail2ban.codec import END
from services.security.adapters.hosts import GatewayHosts
from services.security.antihack.fail2ban import Ban, Fail2ban, Health, SourceBusy, SourceFailed
from services.security.gateways.gateway import Gateway
from services.security.gateways.host import Hosts, HostUnreachable, NothingListens, Ran

GATEWAY = Gateway("gw1", "EU", ("0.0.0.0/0", "::/0"), None, "/run/f2b.sock", "Europe/Berlin")

SECRET = "what-the-gateway-says"


@dataclass
class FakeHosts:
    """Implements Hosts. Each connection reads `parts`, and then comes what `then` says."""

    parts: list[bytes] = field(default_factory=list)
    then: str | Exception = "end"
    entering: Exception | None = None
    ran: Ran | Exception = field(default_factory=lambda: Ran(0, b"stopped\n"))
    commands: list[list[str]] = field(default_factory=list)
    runs: list[tuple[str, bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Counts the commands that were sent."""
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing is answered before."""
    read: int = 0

    def __post_init__(self) -> None:
        self.goes_on.set()

    def connect(self, gateway: Gateway, path: str) -> "FakeConversation":
        return FakeConversation(self, path, iter(self.parts))

    async def run(self, gateway: Gateway, command: str, stdin: bytes = b"") -> Ran:
        self.runs.append((command, stdin))
        if isinstance(self.ran, Exception):
            raise self.ran
        return self.ran

    async def close(self) -> None:
        pass


@dataclass
class FakeConversation:
    """Implements Conversation, as a context manager."""

    hosts: FakeHosts
    path: str
    parts: Iterator[bytes]

    async def __aenter__(self) -> Self:
        self.hosts.paths.append(self.path)
        if self.hosts.entering is not None:
            raise self.hosts.entering
        self.hosts.open += 1
        self.hosts.most_open = max(self.hosts.open, self.hosts.most_open)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hosts.open -= 1

    async def write(self, content: bytes) -> None:
        assert content.endswith(END)
        self.hosts.commands.append(pickle.loads(content))
        self.hosts.asked.release()

    async def read(self, most: int) -> bytes:
        await self.hosts.goes_on.wait()
        part = next(self.parts, None)
        if part is not None:
            assert len(part) <= most
            self.hosts.read += len(part)
            return part
        if isinstance(self.hosts.then, Exception):
            raise self.hosts.then
        if self.hosts.then == "silence":
            await asyncio.Event().wait()
        return b""


def split(content: bytes, size: int = 1024) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def answering(answer: object) -> FakeHosts:
    return FakeHosts(split(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL) + END))


def client(hosts: Hosts, seconds: float = 5.0, **given: Any) -> Fail2ban:
    return Fail2banClient(hosts, seconds=seconds, **given)


Call = Callable[[Fail2ban], Awaitable[object]]

JAILS: Call = lambda it: it.jails(GATEWAY)  # noqa: E731
BANS: Call = lambda it: it.bans(GATEWAY, "sshd")  # noqa: E731
HOLDING: Call = lambda it: it.holding(GATEWAY, "192.0.2.1")  # noqa: E731
UNBAN: Call = lambda it: it.unban(GATEWAY, "sshd", "192.0.2.1")  # noqa: E731

every_call = pytest.mark.parametrize(
    "call", [JAILS, BANS, HOLDING, UNBAN], ids=["jails", "bans", "holding", "unban"]
)


async def failure(hosts: FakeHosts, call: Call, **given: Any) -> SourceFailed:
    """How the call fails. Nothing stays open, and nothing that a gateway said is told."""
    with pytest.raises(SourceFailed) as raised:
        await call(client(hosts, **given))
    assert not hosts.open
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


# What it asks


async def test_only_fixed_words_jails_and_addresses_are_ever_sent() -> None:
    for call, answer, command in (
        (JAILS, [("Number of jail", 0), ("Jail list", "")], ["status"]),
        (BANS, [], ["get", "sshd", "banip", "--with-time"]),
        (HOLDING, [[]], ["banned", "192.0.2.1"]),
        (UNBAN, 0, ["set", "sshd", "unbanip", "192.0.2.1"]),
    ):
        hosts = answering((0, answer))
        await call(client(hosts))
        assert hosts.commands == [command]
        assert hosts.paths == ["/run/f2b.sock"]
        assert not hosts.runs


@pytest.mark.parametrize(
    "jail",
    [
        "",
        "x; rm -rf /",
        "$(reboot)",
        "--all",
        "-x",
        ".x",
        "a b",
        "a,b",
        "a/b",
        "sshd\n",
        "sshd\0",
        "sshd ",
        "sshé",
        "١",
        "a" * 65,
        END.decode(),
        # In the place of a jail these are settings of the server, which would be set.
        "loglevel",
        "logtarget",
        "syslogsocket",
        "allowipv6",
        "thread",
        "dbfile",
        "dbmaxmatches",
        "dbpurgeage",
    ],
)
async def test_what_is_no_name_of_a_jail_is_not_sent(jail: str) -> None:
    hosts = FakeHosts()
    with pytest.raises(ValueError, match="no name of a jail"):
        await client(hosts).bans(GATEWAY, jail)
    with pytest.raises(ValueError, match="no name of a jail"):
        await client(hosts).unban(GATEWAY, jail, "192.0.2.1")
    assert not hosts.paths


@pytest.mark.parametrize(
    "ip",
    [
        "",
        "0x7f.1",
        "127.1",
        "2130706433",
        "1.2.3.4/0",
        "1.2.3.4/32",
        "1.2.3.4\n",
        " 1.2.3.4",
        "1.2.3.04",
        "1.2.3.4 5.6.7.8",
        "--all",
        "--report-absent",
        "example.com",
        "fe80::1%eth0",
        "fe80::1%",
        "::/0",
        "[::1]",
        "::1\n",
        "1.2.3.٤",
        "1.2.3.4\0",
        END.decode(),
    ],
)
async def test_what_is_no_address_is_not_sent(ip: str) -> None:
    hosts = FakeHosts()
    with pytest.raises(ValueError, match=r".+"):
        await client(hosts).holding(GATEWAY, ip)
    with pytest.raises(ValueError, match=r".+"):
        await client(hosts).unban(GATEWAY, "sshd", ip)
    assert not hosts.paths


@pytest.mark.parametrize(
    ("ip", "sent"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::0001", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::FFFF:102:304", "1.2.3.4"),
        # fail2ban finds a ban by its own way of writing an address.
        ("::102:304", "::1.2.3.4"),
    ],
)
async def test_addresses_are_sent_as_fail2ban_writes_them(ip: str, sent: str) -> None:
    hosts = answering((0, 1))
    assert await client(hosts).unban(GATEWAY, "sshd", ip)
    assert hosts.commands == [["set", "sshd", "unbanip", sent]]


# What is answered


async def test_jails_without_a_valid_name_are_left_out() -> None:
    names = "a, b-1, sshd, x; rm -rf /, , ../etc, dbfile, logtarget, a, é, " + "b" * 65
    hosts = answering((0, [("Number of jail", 11), ("Jail list", names)]))
    assert await client(hosts).jails(GATEWAY) == ["a", "b-1", "sshd"]


async def test_more_jails_than_any_gateway_has_are_nonsense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "MOST_JAILS", 3)

    def listing(*names: str) -> FakeHosts:
        return answering((0, [("Number of jail", len(names)), ("Jail list", ", ".join(names))]))

    assert await client(listing("a", "b", "c")).jails(GATEWAY) == ["a", "b", "c"]
    assert "nonsense" in str(await failure(listing("a", "b", "c", "d"), JAILS))


async def test_no_jails() -> None:
    assert (
        await client(answering((0, [("Number of jail", 0), ("Jail list", "")]))).jails(GATEWAY)
        == []
    )


async def test_jails_that_hold_an_address() -> None:
    hosts = answering((0, [["sshd", "web", "dbfile", "x; rm -rf /"]]))
    assert await client(hosts).holding(GATEWAY, "192.0.2.1") == ["sshd", "web"]


async def test_whether_a_ban_was_lifted() -> None:
    assert await client(answering((0, 1))).unban(GATEWAY, "sshd", "192.0.2.1") is True
    assert await client(answering((0, 0))).unban(GATEWAY, "sshd", "192.0.2.1") is False


def line(ip: str, since: str = "2026-01-02 03:04:05", seconds: object = 600, end: str = "") -> str:
    if not end:
        end = f"{datetime.fromisoformat(since) + timedelta(seconds=float(str(seconds)))}"
    return f"{ip} \t{since} + {seconds} = {end}"


async def bans(*lines: str, gateway: Gateway = GATEWAY) -> dict[str, Ban]:
    return dict(await client(answering((0, list(lines)))).bans(gateway, "sshd"))


async def test_times_are_those_of_the_gateway() -> None:
    since = datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)  # Berlin is an hour ahead in winter
    expected = Ban("192.0.2.1", "sshd", since, since + timedelta(minutes=10))
    assert await bans(line("192.0.2.1")) == {"192.0.2.1": expected}
    there = replace(GATEWAY, time_zone="America/New_York")
    (ban,) = (await bans(line("192.0.2.1"), gateway=there)).values()
    assert ban.since == datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "end", "begin"),
    [
        # In Berlin 02:30 comes twice on 2026-10-25, at 00:30 and at 01:30 UTC.
        ("2026-10-25 02:30:00", "2026-10-25 03:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00", "2026-10-25 04:30:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        # On 2026-03-29 an hour is left out.
        ("2026-03-29 01:30:00", "2026-03-29 04:30:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
    ],
)
async def test_a_ban_lasts_so_many_seconds_when_clocks_are_changed(
    since: str, end: str, begin: datetime
) -> None:
    (ban,) = (await bans(line("192.0.2.1", since, 7200, end))).values()
    assert ban.since == begin
    assert ban.expires == begin + timedelta(hours=2)


@pytest.mark.parametrize("seconds", [-1, 10**12, 9 * 10**18])
async def test_a_ban_that_never_ends(seconds: int) -> None:
    (ban,) = (await bans(line("192.0.2.1", seconds=seconds, end="9999-12-31 23:59:59"))).values()
    assert ban.expires is None


async def test_bans_are_found_under_their_canonical_address() -> None:
    found = await bans(
        *map(
            line,
            [
                "192.0.2.1",
                "2001:DB8::0:1",
                "::ffff:1.2.3.4",
                "::1.2.3.4",
                "10.1.0.0/16",
                "10.2.3.4/255.255.0.0",
                "10.9.9.9/32",
                "2001:db8::/32",
                "::ffff:10.3.0.0/112",
            ],
        )
    )
    assert list(found) == [
        "192.0.2.1",
        "2001:db8::1",
        "1.2.3.4",
        "::102:304",
        "10.1.0.0/16",
        "10.2.0.0/16",
        "10.9.9.9",
        "2001:db8::/32",
        "10.3.0.0/16",
    ]
    assert all(ban.ip == ip for ip, ban in found.items())


async def test_bans_of_what_is_no_address_are_left_out() -> None:
    hostile = [
        "",
        "foo",
        "fe80::1%eth0",
        "1.2.3.4; reboot",
        "1.2.3.04",
        "1.2.3.4\n",
        "\0",
        "\ud800",
        "192.0.2.2 \tfoo",
        "foo \t192.0.2.2",
    ]
    assert list(await bans(*map(line, [*hostile, "192.0.2.1"]))) == ["192.0.2.1"]


async def test_a_ban_is_read_when_it_is_looked_at() -> None:
    lines = [line("192.0.2.1"), line("192.0.2.2", "2026-13-02 03:04:05", end="x")]
    found = await client(answering((0, lines))).bans(GATEWAY, "sshd")
    assert len(found) == 2
    assert list(found) == ["192.0.2.1", "192.0.2.2"]
    assert "192.0.2.2" in found
    assert "192.0.2.3" not in found
    assert found["192.0.2.1"].jail == "sshd"
    assert found.get("192.0.2.3") is None
    with pytest.raises(SourceFailed, match="nonsense"):
        found["192.0.2.2"]


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1 \t",
        line("192.0.2.1", "2026-02-30 00:00:00", end="2026-02-30 00:00:00"),
        line("192.0.2.1", "0000-01-01 00:00:00", end="0000-01-01 00:00:00"),
        line("192.0.2.1", "0001-01-01 00:00:00"),
        line("192.0.2.1", "2026-10-25 02:30:00", 600, "2026-99-99 99:99:99"),
        line("192.0.2.1", seconds="9" * 20, end="2026-01-02 03:04:05"),
        line("192.0.2.1", seconds="1e9", end="2026-01-02 03:04:05"),
        line("192.0.2.1").replace("6", "٦"),
        line("192.0.2.1") + "\n",
        line("192.0.2.1").replace("=", "+"),
        f"192.0.2.1 \t{SECRET}",
    ],
)
async def test_times_that_are_none(text: str) -> None:
    found = await client(answering((0, [text]))).bans(GATEWAY, "sshd")
    with pytest.raises(SourceFailed) as raised:
        found["192.0.2.1"]
    assert raised.value.health is Health.UNREACHABLE
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "", "/etc/passwd", "Europe"])
async def test_a_time_zone_that_is_none(zone: str) -> None:
    gateway = replace(GATEWAY, time_zone=zone)
    failed = await failure(answering((0, [])), lambda it: it.bans(gateway, "sshd"))
    assert "time zone" in str(failed)


# What goes wrong


class Hostile:
    def __reduce__(self) -> Any:
        return sys.exit, (SECRET,)


NONSENSE: list[object] = [
    None,
    (),
    [],
    "ERROR: " + SECRET,
    (0,),
    (2, SECRET),
    (0, SECRET),
    (0, None),
    (0, 2),
    (0, -1),
    (0, True),
    (0, 1.0),
    (0, {"sshd": 1}),
    (0, [SECRET, 1]),
    (0, [SECRET, SECRET]),
    (0, [[SECRET, 1]]),
    (0, [["a"], ["b"]]),
    (0, ["a", "b"], "c"),
    (0, [("Number of jail", 1), ("Jail list", 1)]),
    (0, [("Number of jail", "1"), ("Jail list", "a")]),
    (0, [("Jail list", "a")]),
    (0, [("Number of jail", 1), ("Jail list", "a"), ("More", 1)]),
    (0, [[[["a"]]]]),
    (1, SECRET),
    (1, [ValueError(SECRET)]),
    (0, ValueError(SECRET)),
    (0, Hostile()),
    Hostile(),
]


@every_call
@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
async def test_an_answer_of_another_shape_is_nonsense(call: Call, answer: object) -> None:
    failed = await failure(answering(answer), call)
    assert failed.health is Health.UNREACHABLE
    assert "nonsense" in str(failed)


@every_call
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "ended"),
        (b"\x80", "ended"),
        (pickle.dumps((0, [])), "ended"),
        (pickle.dumps((0, [])) + END[:-1], "ended"),
        (END, "nonsense"),
        (SECRET.encode() + END, "nonsense"),
        (END + END, "nonsense"),
        (pickle.dumps((0, 1))[:-1] + END, "nonsense"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "ended"),
        (bytes(range(256)) * 100 + END, "nonsense"),
        (b"\x00" * 300_000 + END, "nonsense"),
    ],
)
async def test_garbage_and_half_an_answer(call: Call, content: bytes, text: str) -> None:
    failed = await failure(FakeHosts(split(content)), call)
    assert failed.health is Health.UNREACHABLE
    assert text in str(failed)


@every_call
@pytest.mark.parametrize("parts", [[], [b"\x80"], [pickle.dumps((0, []))]])
async def test_silence_ends_at_the_deadline(call: Call, parts: list[bytes]) -> None:
    failed = await failure(FakeHosts(parts, then="silence"), call, seconds=0.05)
    assert failed.health is Health.UNREACHABLE
    assert "in time" in str(failed)


@every_call
async def test_a_hundred_megabytes_are_not_read(call: Call) -> None:
    part = b"N" * 64 * 1024
    hosts = FakeHosts([part] * 1600)
    failed = await failure(hosts, call, seconds=30, most_bytes=1_000_000)
    assert failed.health is Health.UNREACHABLE
    assert "more than is read" in str(failed)
    assert hosts.read <= 1_000_000 + len(part)


@every_call
async def test_a_gateway_that_cannot_be_reached(call: Call) -> None:
    for hosts in (
        FakeHosts(entering=HostUnreachable("It cannot be reached.")),
        FakeHosts(then=HostUnreachable("It cannot be reached.")),
    ):
        failed = await failure(hosts, call)
        assert failed.health is Health.UNREACHABLE
        assert str(failed) == "It cannot be reached."
        assert not hosts.runs


@every_call
@pytest.mark.parametrize(
    ("ran", "health"),
    [
        (Ran(0, b"stopped\n"), Health.NOT_RUNNING),
        (Ran(0, b"absent\n"), Health.NOT_INSTALLED),
        (Ran(0, b"forbidden\n"), Health.UNREACHABLE),
        (Ran(0, SECRET.encode()), Health.UNREACHABLE),
        (Ran(0, b"absent\nabsent\n"), Health.UNREACHABLE),
        (Ran(127, b""), Health.UNREACHABLE),
        (HostUnreachable("It did not answer in time."), Health.UNREACHABLE),
    ],
)
async def test_whether_it_runs_and_whether_it_is_installed(
    call: Call, ran: Ran | Exception, health: Health
) -> None:
    hosts = FakeHosts(entering=NothingListens("Nothing listens."), ran=ran)
    assert (await failure(hosts, call)).health is health
    assert hosts.runs == [(FIND_SERVER, b"/run/f2b.sock\n")]


async def test_a_socket_that_we_may_not_open_is_told_from_a_fail2ban_that_does_not_run() -> None:
    hosts = FakeHosts(entering=NothingListens("Nothing listens."), ran=Ran(0, b"forbidden\n"))
    assert "does not let us open the socket" in str(await failure(hosts, JAILS))


async def test_a_path_is_no_command_whatever_stands_in_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    hosts = GatewayHosts("", seconds=20)
    for path in (f"/$(touch {made})", f"/`touch {made}`", f'/"; touch {made}; "', "-x", "*", ""):
        here = replace(GATEWAY, socket=path or "/nowhere")
        ran = await hosts.run(here, FIND_SERVER, f"{path}\n".encode())
        assert (ran.exit_status, ran.output.strip() in {b"stopped", b"absent"}) == (0, True)
    assert not made.exists()


def unknown_jail(monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    """The answer of a fail2ban that does not know the jail."""
    module = ModuleType("fail2ban.exceptions")
    made = type("UnknownJailException", (KeyError,), {"__module__": module.__name__})
    monkeypatch.setattr(module, made.__name__, made, raising=False)
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "fail2ban", ModuleType("fail2ban"))
        there.setitem(sys.modules, module.__name__, module)
        return answering((1, made(SECRET)))


async def test_a_jail_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = unknown_jail(monkeypatch)
    for call in (BANS, UNBAN):
        with pytest.raises(LookupError) as raised:
            await call(client(hosts))
        assert type(raised.value) is LookupError
        assert str(raised.value) == "There is no such jail."
    for call in (JAILS, HOLDING):
        assert (await failure(hosts, call)).health is Health.UNREACHABLE


@every_call
@pytest.mark.parametrize("error", [Exception(SECRET), KeyError(SECRET), LookupError(SECRET)])
async def test_an_error_of_fail2ban(call: Call, error: Exception) -> None:
    failed = await failure(answering((1, error)), call)
    assert failed.health is Health.UNREACHABLE
    assert "refuses" in str(failed)


# One at a time


async def test_a_gateway_is_asked_by_one_at_a_time_and_others_meanwhile() -> None:
    hosts = answering((0, 1))
    hosts.goes_on.clear()
    asked = client(hosts)
    other = replace(GATEWAY, name="gw2")
    calls = [
        asyncio.create_task(asked.unban(gateway, "sshd", f"192.0.2.{n}"))
        for gateway in (GATEWAY, other)
        for n in range(10)
    ]
    for _ in range(2):
        await hosts.asked.acquire()
    hosts.goes_on.set()
    assert all(await asyncio.gather(*calls))
    assert hosts.most_open == 2
    assert len(hosts.commands) == 20


async def test_ten_thousand_at_once_are_either_served_or_refused_at_once() -> None:
    hosts = answering((0, 1))
    hosts.goes_on.clear()
    asked = client(hosts, seconds=30, waiting=64)
    calls = [asyncio.create_task(asked.unban(GATEWAY, "sshd", "192.0.2.1")) for _ in range(10_000)]
    refused = await asyncio.gather(*calls[65:], return_exceptions=True)
    assert {type(answer) for answer in refused} == {SourceBusy}
    assert not any(call.done() for call in calls[:65])
    hosts.goes_on.set()
    assert all(await asyncio.gather(*calls[:65]))
    assert len(hosts.commands) == 65
    assert hosts.most_open == 1
    # Nobody is counted any more.
    again = [asked.unban(GATEWAY, "sshd", "192.0.2.1") for _ in range(65)]
    assert all(await asyncio.gather(*again))


async def test_the_deadline_counts_from_ones_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "WAITS", 1000)
    hosts = FakeHosts(then="silence")
    asked = client(hosts, seconds=0.1)
    begin = time.monotonic()
    calls = [asked.unban(GATEWAY, "sshd", "192.0.2.1") for _ in range(3)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {str(answer) for answer in answers} == {"It did not answer in time."}
    assert time.monotonic() - begin >= 0.3
    assert len(hosts.commands) == 3


async def test_who_waits_too_long_for_ones_turn_is_refused_and_the_gateway_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "WAITS", 0.001)
    hosts = answering((0, 1))
    hosts.goes_on.clear()
    asked = client(hosts, seconds=20)
    first = asyncio.create_task(asked.unban(GATEWAY, "sshd", "192.0.2.1"))
    await hosts.asked.acquire()
    others = [asked.unban(GATEWAY, "sshd", "192.0.2.1") for _ in range(10)]
    answers = await asyncio.gather(*others, return_exceptions=True)
    assert {type(answer) for answer in answers} == {SourceBusy}
    hosts.goes_on.set()
    assert await first
    assert len(hosts.commands) == 1
    assert await asked.unban(GATEWAY, "sshd", "192.0.2.1")  # nobody has the turn any more


async def test_a_caller_that_goes_away_lets_the_next_in() -> None:
    hosts = answering((0, 1))
    hosts.goes_on.clear()
    asked = client(hosts, waiting=1)
    first = asyncio.create_task(asked.unban(GATEWAY, "sshd", "192.0.2.1"))
    second = asyncio.create_task(asked.unban(GATEWAY, "sshd", "192.0.2.2"))
    await hosts.asked.acquire()
    with pytest.raises(SourceBusy):
        await asked.unban(GATEWAY, "sshd", "192.0.2.3")
    first.cancel()
    hosts.goes_on.set()
    assert await second
    assert not hosts.open


async def test_the_event_loop_lives_while_a_long_answer_is_read() -> None:
    lines = [line(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(100_000)]
    content = pickle.dumps((0, lines)) + END
    assert len(content) > THREAD_BYTES
    asked = client(FakeHosts(split(content, 64 * 1024)), seconds=30)
    call = asyncio.create_task(asked.bans(GATEWAY, "sshd"))
    turns = 0
    while not call.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(call.result()) == 100_000
    # Without a thread it would be a handful.
    assert turns > 20
