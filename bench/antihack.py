"""Anti-hack: the status of a server with 50,000 bans, beside fail2ban's own client."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx
from f2h.server_ops.v1 import inventory_pb2

from bench.load import BenchError
from bench.report import Finding, verdict
from lab.fail2ban import Fail2ban
from lab.ports import HOST
from lab.stack import Ports, Stack

BANS = 50_000
ROUNDS = 15
ACCOUNT, HOSTNAME, IP = "bench", "ns1.bench.example.net", "203.0.113.9"
JAIL = f"sshd-{IP}"
PATH = f"/api/servers/{HOSTNAME}/antihack"

WARM, COLD = 3.0, 1.0
"""The aims: how many times as fast as fail2ban-client."""


def measure() -> Finding:
    """Runs all on one system and one fail2ban. Raises BenchError."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Fail2ban(Path(folder) / "f", {JAIL: Path(folder) / "log"}, ban_seconds=-1) as fail2ban,
        Stack(Path(folder) / "run", Ports.free()) as stack,
    ):
        fail2ban.ban(JAIL, *(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(BANS)))
        key = _register(stack, fail2ban)
        took = _measure(stack, key, fail2ban)
    rows = [
        [name, f"{median(seconds) * 1000:.0f}", f"{max(seconds) * 1000:.0f}"]
        for name, seconds in took.items()
    ]
    cold, warm, client, unban, client_unban = (median(each) for each in took.values())
    return Finding(
        "Anti-hack",
        f"A real fail2ban with {BANS:,} bans in one jail, on the same machine. Ours is a status\n"
        "over REST, through the edge, with its first hundred bans and when each began and ends.\n"
        f"fail2ban-client prints the same of all. {ROUNDS} rounds in turn.",
        (
            ("what", ""),
            ("median ms", "half of the rounds took less."),
            ("slowest ms", "what the slowest round took."),
        ),
        rows,
        [
            verdict("fail2ban-client / ours, warm", client / warm, least=WARM),
            verdict("fail2ban-client / ours, cold", client / cold, least=COLD),
            verdict("fail2ban-client / ours, unban", client_unban / unban, least=COLD),
        ],
    )


def _register(stack: Stack, fail2ban: Fail2ban) -> str:
    """Makes the server and its gateway known; a key for it."""
    stack.account(ACCOUNT)
    stack.register(
        inventory_pb2.PutServerRequest(
            hostname=HOSTNAME,
            account=ACCOUNT,
            ips=[IP],
            datacenter="EU-WEST-F2H",
            mac="0c:c4:7a:00:00:01",
            bmc_address=HOST,
            bmc_username="admin",
            bmc_password="not-a-secret",
        )
    )
    gateway = {
        "region": "EU",
        "networks": ["203.0.113.0/24"],
        "fail2ban_socket": str(fail2ban.socket),
    }
    form = {
        "account": ACCOUNT,
        "servers": [HOSTNAME],
        "capabilities": ["antihack.status", "antihack.unban"],
    }
    _done(stack.noc("PUT", "/api/noc/gateways/gw1", json=gateway))
    return str(_done(stack.noc("POST", "/api/keys", json=form)).json()["secret"])


class _Asking:
    """What is done in turn. Raises BenchError when an answer is wrong."""

    def __init__(self, client: httpx.Client, fail2ban: Fail2ban) -> None:
        self._client = client
        self._fail2ban = fail2ban
        self._ips = (f"10.0.{n >> 8}.{n & 255}" for n in range(BANS))

    def status(self, max_age: int) -> None:
        told = _done(self._client.get(PATH, params={"max_age_seconds": max_age})).json()
        if told["total_blocked"] < BANS - 2 * ROUNDS or len(told["blocked"]) != 100:
            raise BenchError(str(told)[:300])

    def client_status(self) -> None:
        printed = self._fail2ban.client("get", JAIL, "banip", "--with-time").splitlines()
        if len(printed) < BANS - 2 * ROUNDS:
            raise BenchError("fail2ban-client prints too little")

    def unban(self) -> None:
        told = _done(self._client.post(f"{PATH}/unban", json={"ip": next(self._ips)})).json()
        if told["jails"] != 1:
            raise BenchError(str(told))

    def client_unban(self) -> None:
        """With the question whether it is so, as ours."""
        ip = next(self._ips)
        if not self._fail2ban.unban(JAIL, ip) or JAIL in self._fail2ban.client("banned", ip):
            raise BenchError(f"{ip} is still banned")


def _measure(stack: Stack, key: str, fail2ban: Fail2ban) -> dict[str, list[float]]:
    """Seconds of each round, by what was done."""
    with httpx.Client(headers={"X-API-Key": key}, timeout=30, base_url=stack.url) as client:
        asking = _Asking(client, fail2ban)
        turns: dict[str, Callable[[], None]] = {
            "status, asked of fail2ban now: ours": lambda: asking.status(0),
            "status, as known within an hour: ours": lambda: asking.status(3600),
            "status: fail2ban-client get banip --with-time": asking.client_status,
            "unban, read back: ours": asking.unban,
            "unban, read back: fail2ban-client, twice": asking.client_unban,
        }
        took: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(ROUNDS):
            for name, turn in turns.items():
                begin = time.monotonic()
                turn()
                took[name].append(time.monotonic() - begin)
    return took


def _done(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise BenchError(answer.text)
    return answer
