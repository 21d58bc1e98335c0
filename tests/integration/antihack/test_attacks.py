"""A gateway that was broken into, and callers who ask for too much."""

import asyncio
import pickle
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.security.v1 import antihack_pb2, antihack_pb2_grpc

from services.runtime.access import Audience
from services.runtime.mutual_tls import channel_credentials, expecting
from services.runtime.policy import Policy
from services.runtime.principal import HEADER
from services.security.adapters.fail2ban.codec import END
from tests.integration.antihack.conftest import ALL, BAD, IPS, ONE, SSHD, Gates
from tests.integration.conftest import eventually
from tests.integration.signing import signer_of

MEGABYTE = b"x" * 2**20


class Executed:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self._path), "w"))


def hostile_pickle(send: Callable[[bytes], None], folder: Path) -> None:
    send(pickle.dumps((0, Executed(folder / "executed"))) + END)


def memo_bomb(send: Callable[[bytes], None], _folder: Path) -> None:
    send(b"\x80\x02Nr\xff\xff\xff\x7f." + END)


def hundred_megabytes(send: Callable[[bytes], None], _folder: Path) -> None:
    for _ in range(100):
        send(MEGABYTE)
    send(END)


def garbage(send: Callable[[bytes], None], _folder: Path) -> None:
    send(bytes(range(256)) * 100 + END)


def half_an_answer(send: Callable[[bytes], None], _folder: Path) -> None:
    send(pickle.dumps((0, ["a"] * 1000))[:-20])


def nothing(_send: Callable[[bytes], None], _folder: Path) -> None:
    """Ends the connection."""


def silence(_send: Callable[[bytes], None], _folder: Path) -> None:
    time.sleep(6)  # longer than anybody waits


def hostile_names(send: Callable[[bytes], None], _folder: Path) -> None:
    names = f"x; rm -rf /, logtarget, ../../etc, sshd-{IPS[ONE][0]}/x, {SSHD}\n{SSHD}"
    send(pickle.dumps((0, [("Number of jail", 5), ("Jail list", names)])) + END)


ATTACKS = (
    hostile_pickle,
    memo_bomb,
    hundred_megabytes,
    garbage,
    half_an_answer,
    nothing,
    silence,
)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def attack(
    request: pytest.FixtureRequest, gates: Gates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A third gateway, which answers so; a folder that the attack may write to."""
    attacked: Callable[[Callable[[bytes], None], Path], None] = request.param
    folder = tmp_path_factory.mktemp("bad")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            try:
                attacked(self.request.sendall, folder)
            except OSError:
                return  # who asked has hung up

    server = Server(str(folder / "s"), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    form = {
        "region": "EU",
        "networks": ["203.0.113.0/24", "2001:db8::/32"],
        "fail2ban_socket": str(folder / "s"),
    }
    assert gates.system.noc("PUT", "/api/noc/gateways/gw.bad", json=form).is_success
    yield folder
    assert gates.system.noc("DELETE", "/api/noc/gateways/gw.bad").is_success
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("attack", ATTACKS, indirect=True, ids=lambda each: each.__name__)
def test_a_hostile_gateway_costs_its_own_health_alone(gates: Gates, attack: Path) -> None:
    gates.eu.ban(SSHD, BAD)
    status = gates.get()
    health = {each["gateway"]: each["health"] for each in status["sources"]}
    assert health == {"gw.eu": "OK", "gw.us": "OK", "gw.bad": "UNREACHABLE"}
    assert [each["gateway"] for each in status["blocked"]] == ["gw.eu"]
    answer = gates.unban(BAD).json()
    assert (answer["jails"], answer["state"]) == (1, "UNBLOCKING")
    outcomes = {each["gateway"]: each["outcome"] for each in answer["results"]}
    assert outcomes == {"gw.eu": "UNBANNED", "gw.us": "NOT_BANNED", "gw.bad": "FAILED"}
    assert not (attack / "executed").exists()
    assert memory(gates) < 600 * 2**20


@pytest.mark.parametrize("attack", [hostile_names], indirect=True, ids=["names"])
def test_jails_with_hostile_names_are_no_jails(gates: Gates, attack: Path) -> None:
    health = {each["gateway"]: each["health"] for each in gates.get()["sources"]}
    assert health["gw.bad"] == "NO_JAILS"


async def test_ten_thousand_unbans_at_once_are_answered_or_refused_and_hurt_nobody(
    gates: Gates,
) -> None:
    """Straight at the service: the edge would let far fewer pass."""
    gates.eu.ban(SSHD, BAD)
    stack = gates.system.stack
    principal = Principal(
        audience=Audience.CUSTOMER,
        subject=gates.key.id,
        account="acme",
        policy_digest=Policy(ALL, [ONE]).digest(),
        expire_seconds=int(time.time()) + 300,
    )
    metadata = ((HEADER, signer_of(stack.secrets).sign(principal)),)
    request = antihack_pb2.UnbanAddressRequest(hostname=ONE, ip=BAD)

    async with grpc.aio.secure_channel(
        stack.address("security"),
        channel_credentials(stack.shown("edge")),
        expecting("security"),
    ) as channel:
        stub = antihack_pb2_grpc.AntihackServiceStub(channel)

        async def unban() -> str:
            try:
                answer = await stub.UnbanAddress(request, metadata=metadata, timeout=120)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            failed = [each for each in answer.results if each.trouble]
            return "partly" if failed else "done"

        outcomes = Counter(await asyncio.gather(*(unban() for _ in range(10_000))))
    # CANCELLED is gRPC's own word for calls beyond the thousand that may wait to be begun.
    assert outcomes.keys() <= {"done", "partly", "UNAVAILABLE", "CANCELLED"}, outcomes
    assert outcomes["done"] > 0
    assert gates.eu.banned(SSHD) == []
    told = await asyncio.to_thread(eventually, gates.get)
    assert {each["health"] for each in told["sources"]} == {"OK"}


def memory(gates: Gates) -> int:
    """Bytes that the service has in memory."""
    pid = gates.system.stack.processes["security"].pid
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(pid)
