"""A DNS blocklist: how long it takes to ask about every address of a fleet."""

import asyncio
import heapq
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import dns.exception
import dns.message
import dns.query
import dns.resolver

from bench.load import BenchError
from bench.report import Finding, verdict
from lab.process import Process
from lab.rbldnsd import Rbldnsd
from services.security.adapters.dnsbl.blocklist import Dnsbl

ADDRESSES = 10_000
LISTED = 50
"""One in so many is listed, on two lists."""
ROUNDS = 3
ONE_BY_ONE, PROCESSES, FAR_ONE_BY_ONE, FAR_PROCESSES = 3_000, 300, 300, 100
"""How many of the addresses each is asked about that takes them one by one, a round."""

NEAR, FAR = "127.0.53.53", "127.0.53.54"
PORT = 53
"""adns knows no other, and with it whoever runs this must be root."""
FAR_SECONDS = 0.005
"""One way. What is in no cache is asked for at Spamhaus's own servers."""
START_SECONDS = 10.0

AIM = 20.0
"""How many times as fast as each peer that takes one by one."""

OURS, DNSPYTHON, ADNSHOST, PIPE = (
    "ours",
    "dnspython's resolver, one by one",
    "adnshost, a process each",
    "adnshost -f, one by one",
)

_COLUMNS = (
    ("what", ""),
    ("addresses", "how many were asked about in a round."),
    ("a second", "so many, in the median round."),
    ("slowest", "so many a second in the slowest round."),
)

_Round = Callable[[Sequence[str]], None]


def measure() -> Finding:
    """Runs all against one name server. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _server(Path(folder)) as server:
        near = _rounds(server, NEAR, ONE_BY_ONE, PROCESSES)
        far = _rounds(server, FAR, FAR_ONE_BY_ONE, FAR_PROCESSES)
    return Finding(
        "A DNS blocklist",
        f"Debian's rbldnsd on loopback, which lists 1 address in {LISTED}. {ROUNDS} rounds in\n"
        f"turn. Ours asks about {ADDRESSES} addresses and keeps nothing from round to round. Far:\n"
        f"the same server behind a relay that keeps every datagram for {FAR_SECONDS * 1000:g} ms,\n"
        "and that is a Python process which slows ours alone down.",
        _COLUMNS,
        [
            *(_row(f"near: {name}", *each) for name, each in near.items()),
            *(_row(f"far: {name}", *each) for name, each in far.items()),
        ],
        [
            *_verdicts("near", near),
            *_verdicts("far", far),
        ],
    )


@contextmanager
def _server(folder: Path) -> Iterator[Rbldnsd]:
    listings = dict.fromkeys(_addresses()[::LISTED], ("127.0.0.4", "127.0.0.10"))
    command = [sys.executable, "-m", "bench.dnsbl"]
    try:
        with Rbldnsd(folder / "rbldnsd", listings, address=NEAR, port=PORT) as server:
            relay = Process("relay", command, folder / "relay.log", {})
            try:
                _wait(FAR, server.zone)
                yield server
            finally:
                relay.stop()
    except TimeoutError as error:
        raise BenchError(f"no name server at {NEAR}: {error}") from None


def _rounds(
    server: Rbldnsd, address: str, one_by_one: int, processes: int
) -> dict[str, tuple[int, list[float]]]:
    """Of each, how many addresses it was asked about, and the seconds of each round."""
    ips = _addresses()
    turns: dict[str, tuple[_Round, int]] = {
        OURS: (lambda these: asyncio.run(_ours(these, server.zone, address)), ADDRESSES),
        DNSPYTHON: (lambda these: _dnspython(these, server.zone, address), one_by_one),
        ADNSHOST: (lambda these: _adnshost(these, server.zone, address), processes),
        PIPE: (lambda these: _pipe(these, server.zone, address), one_by_one),
    }
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    order = [*turns]
    for _ in range(ROUNDS):
        for name in order:
            turn, count = turns[name]
            begin = time.monotonic()
            turn(ips[:count])
            seconds[name].append(time.monotonic() - begin)
        order = [*order[1:], order[0]]
    return {name: (turns[name][1], seconds[name]) for name in turns}


async def _ours(ips: Sequence[str], zone: str, address: str) -> None:
    blocklist = Dnsbl(zone, (address, PORT))
    told = await asyncio.gather(*map(blocklist.look_up, ips))
    await blocklist.close()
    if unknown := {each.unknown for each in told} - {""}:
        raise BenchError(f"ours does not know: {unknown}")
    _compare(OURS, [len(each.listings) == 2 for each in told])


def _dnspython(ips: Sequence[str], zone: str, address: str) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [address]
    listed = []
    for ip in ips:
        try:
            listed.append(len(resolver.resolve(_name(ip, zone), "A")) == 2)
        except dns.resolver.NXDOMAIN:
            listed.append(False)
    _compare(DNSPYTHON, listed)


def _adnshost(ips: Sequence[str], zone: str, address: str) -> None:
    listed = []
    for ip in ips:
        command = [*_adns(address), _name(ip, zone)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        listed.append(done.stdout.count("127.0.0.") == 2)
    _compare(ADNSHOST, listed)


def _pipe(ips: Sequence[str], zone: str, address: str) -> None:
    listed = []
    # Fully parseable: a line says how many lines follow.
    command = [*_adns(address), "-Fa", "-f"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as adns:
        assert adns.stdin
        assert adns.stdout
        for ip in ips:
            adns.stdin.write(f"{_name(ip, zone)}\n")
            adns.stdin.flush()
            _, lines, *_ = adns.stdout.readline().split()
            listed.append(len([adns.stdout.readline() for _ in range(int(lines))]) == 2)
        adns.stdin.close()
    _compare(PIPE, listed)


def _adns(address: str) -> list[str]:
    return ["adnshost", "+e", "--config", f"nameserver {address}", "-ta"]


def _compare(who: str, listed: Sequence[bool]) -> None:
    if list(listed) != [number % LISTED == 0 for number in range(len(listed))]:
        raise BenchError(f"{who}: not the addresses that are listed")


def _addresses() -> list[str]:
    return [f"198.18.{number // 250}.{number % 250}" for number in range(ADDRESSES)]


def _name(ip: str, zone: str) -> str:
    return f"{'.'.join(reversed(ip.split('.')))}.{zone}"


def _wait(address: str, zone: str) -> None:
    question = dns.message.make_query(_name("127.0.0.2", zone), "A")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            dns.query.udp(question, address, 0.5, PORT)
        except (dns.exception.DNSException, OSError):
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nobody answers at {address}")


def _row(name: str, count: int, seconds: Sequence[float]) -> list[str]:
    return [
        name,
        str(count),
        f"{count / median(seconds):.0f}",
        f"{count / max(seconds):.0f}",
    ]


def _verdicts(where: str, rounds: dict[str, tuple[int, list[float]]]) -> list[str]:
    """Round by round, since what disturbs the machine disturbs neighbours alike."""
    count, ours = rounds[OURS]
    found = []
    for peer in (DNSPYTHON, ADNSHOST):
        its_count, theirs = rounds[peer]
        ratio = median(
            (its / its_count) / (our / count) for its, our in zip(theirs, ours, strict=True)
        )
        found.append(verdict(f"{where}: ours / {peer}", ratio, least=AIM))
    return found


def relay(listen: str, target: str, seconds: float) -> None:
    """Passes datagrams between two addresses' port 53, each so much later, until it is ended."""
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind((listen, PORT))
    front.setblocking(False)
    backs: dict[tuple[str, int], socket.socket] = {}
    clients: dict[socket.socket, tuple[str, int]] = {}
    waiting: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
    number = 0
    poll = select.epoll()
    poll.register(front, select.EPOLLIN)
    sockets = {front.fileno(): front}
    while True:
        wait = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for descriptor, _ in poll.poll(wait):
            each = sockets[descriptor]
            while True:
                try:
                    datagram, sender = each.recvfrom(4096)
                except OSError:
                    break
                if each is front and sender not in backs:
                    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    back.setblocking(False)
                    backs[sender], clients[back] = back, sender
                    sockets[back.fileno()] = back
                    poll.register(back, select.EPOLLIN)
                leaves = backs[sender] if each is front else front
                to = (target, PORT) if each is front else clients[each]
                number += 1
                heapq.heappush(waiting, (time.monotonic() + seconds, number, leaves, datagram, to))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, leaves, datagram, to = heapq.heappop(waiting)
            leaves.sendto(datagram, to)


if __name__ == "__main__":
    relay(FAR, NEAR, FAR_SECONDS)
