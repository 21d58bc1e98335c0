"""Two server_ops processes on one PostgreSQL: each BMC is one's, and the work of one that is gone
is taken over."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.server_ops.v1 import ipmi_pb2, ipmi_pb2_grpc, operation_pb2, operation_pb2_grpc

from lab.lossy import Direction, LossyProxy
from lab.ports import HOST, free_port
from lab.process import Process
from lab.stack import Ports, Stack
from services.runtime.access import Audience, Role
from services.runtime.principal import HEADER, PrincipalSigner
from tests.integration.conftest import ACCOUNT, SETTINGS, System, eventually
from tests.integration.signing import signer_of
from tests.postgres import Postgres

TAKEN_OVER_SECONDS = 30.0


@dataclass
class Pair:
    """The process behind the edge, and another one beside it."""

    system: System
    other: Process
    channels: tuple[grpc.Channel, grpc.Channel]
    signer: PrincipalSigner

    def owner(self) -> tuple[tuple[str, str], ...]:
        """The account's owner, signed in."""
        principal = Principal(
            audience=Audience.SESSION,
            account=ACCOUNT,
            subject="0" * 16,
            role=Role.OWNER,
            expire_seconds=int(time.time()) + 60,
        )
        return ((HEADER, self.signer.sign(principal)),)

    def look(self, process: int, server: str) -> ipmi_pb2.Ipmi:
        """The status of a BMC, asked by one of the two."""
        stub = ipmi_pb2_grpc.IpmiServiceStub(self.channels[process])
        request = ipmi_pb2.GetIpmiRequest(hostname=server, max_age_seconds=0)
        return stub.GetIpmi(request, metadata=self.owner(), timeout=20)

    def is_done(self, process: int, name: str) -> bool:
        """Whether an operation has ended, by one of the two."""
        stub = operation_pb2_grpc.OperationServiceStub(self.channels[process])
        request = operation_pb2.GetOperationRequest(id=name.removeprefix("operations/"))
        return bool(stub.GetOperation(request, metadata=self.owner(), timeout=20).done)


@pytest.fixture
def pair(tmp_path: Path, postgres: Postgres) -> Iterator[Pair]:
    settings = {
        **SETTINGS,
        "F2H_SERVER_OPS_DATABASE_URL": postgres.new_database(),
        "F2H_SERVER_OPS_SYNC_SECONDS": "3600",
    }
    with (
        Stack(tmp_path / "run", Ports.free(), settings) as stack,
        ExitStack() as exits,
        grpc.insecure_channel(f"{HOST}:{stack.ports.public}") as channel,
    ):
        system = System(stack, tmp_path, exits, channel)
        system.account(ACCOUNT)
        address = f"{HOST}:{free_port()}"
        environment = {
            **stack.environment("server_ops"),
            "F2H_SERVER_OPS_LISTEN": address,
            "F2H_SERVER_OPS_INSTANCE": "server_ops-2",
            "F2H_SERVER_OPS_METRICS": "",
        }
        command = [sys.executable, "-m", "services.server_ops"]
        other = Process("server_ops-2", command, tmp_path / "other.log", environment)
        exits.callback(other.stop)
        channels = (
            exits.enter_context(stack.channel("server_ops")),
            exits.enter_context(stack.channel("server_ops", address=address)),
        )
        grpc.channel_ready_future(channels[1]).result(20)
        yield Pair(system, other, channels, signer_of(stack.secrets))


def test_one_process_at_a_time_talks_to_a_bmc(pair: Pair) -> None:
    bmc = pair.system.bmc()
    with LossyProxy(bmc.port) as proxy:
        sessions: dict[bytes, list[float]] = defaultdict(list)

        def note(datagram: bytes, direction: Direction) -> bool:
            if direction is Direction.REQUEST and datagram[4] == 6 and any(datagram[6:10]):
                sessions[datagram[6:10]].append(time.monotonic())
            return False

        proxy.drop = note
        server = pair.system.server(bmc, port=proxy.port)
        with ThreadPoolExecutor(4) as pool:
            seen = [*pool.map(lambda number: pair.look(number % 2, server), range(12))]
        assert {each.reachability for each in seen} == {ipmi_pb2.Ipmi.CONTACTABLE}
        assert {pair.look(number, server).reachability for number in (0, 1)} == {
            ipmi_pb2.Ipmi.CONTACTABLE
        }
    spans = sorted((min(times), max(times)) for times in sessions.values())
    assert len(spans) > 1, "both had it"
    for (_, end), (begin, _) in pairwise(spans):
        assert end < begin, "two sessions at the same time"


def test_what_a_killed_process_was_doing_is_taken_over_and_nothing_is_sent_twice(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    system = pair.system
    bmcs = [system.bmc(boot_seconds=3) for _ in range(6)]
    servers = [system.server(bmc) for bmc in bmcs]
    key = system.key(*servers)
    names = [
        system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
        for server in servers
    ]
    eventually(lambda: sum(bmc.chassis_commands() for bmc in bmcs) >= 3)
    system.stack.processes["server_ops"].kill()
    begin = time.monotonic()
    eventually(lambda: all(pair.is_done(1, name) for name in names), 60)
    seconds = time.monotonic() - begin
    with capsys.disabled():
        print(f" [6 operations taken over and ended {seconds:.1f} s after the kill]", end="")
    assert seconds < TAKEN_OVER_SECONDS
    assert max(bmc.chassis_commands() for bmc in bmcs) == 1
    # Its BMCs are free for the other one.
    assert {pair.look(1, server).reachability for server in servers} == {ipmi_pb2.Ipmi.CONTACTABLE}
