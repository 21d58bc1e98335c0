"""Promises 3 and 4 in figures: processes that are killed, and a network that loses datagrams.

`make faults` does 25 times as much as `make test`.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.ipmi_sim import IpmiSim
from lab.lossy import LossyProxy
from tests.integration.conftest import Key, System, running

SCALE = int(os.environ.get("FAULT_SCALE", "1"))

KILLS = 4 * SCALE
AT_A_KILL = 4
"""Reboots that are under way when a process is killed."""

REBOOTS_UNDER_LOSS = 10 * SCALE if SCALE > 1 else 4
LOSSY_BMCS = 10
LOSS = 0.3

TERMINAL_SECONDS = 30.0
"""Promise 3: after the restart, every operation has ended by then."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of this module's own: it is killed again and again."""
    settings = {"F2H_SERVER_OPS_RESTART_SECONDS": "25"}
    with running(tmp_path_factory.mktemp("faults"), settings) as made:
        yield made


def reboot(system: System, server: str, key: Key) -> str:
    answer = system.rest("POST", f"/api/servers/{server}/reboot", key)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def told(operation: dict[str, Any]) -> str:
    """How an operation ended, in one word."""
    if operation["metadata"]["state"] == "SUCCEEDED":
        return "SUCCEEDED"
    return str(operation["error"]["details"][0]["reason"])


def is_true(end: str, commands: int) -> bool:
    """Whether an end agrees with what the BMC executed."""
    if end == "SUCCEEDED":
        return commands == 1
    return commands <= 1 if end == "OUTCOME_UNKNOWN" else commands == 0


def children(pid: int) -> list[int]:
    """The processes below a process, all of them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(path.parent.name)
            found += [child, *children(child)]
    return found


def kill_server_ops(system: System) -> None:
    system.stack.processes["server_ops"].kill()
    system.stack.start_service("server_ops")


def kill_bmc_workers(system: System) -> None:
    for pid in children(system.stack.processes["server_ops"].pid):
        os.kill(pid, signal.SIGKILL)


def kill_auth(system: System) -> None:
    system.stack.processes["auth"].kill()
    system.stack.start_service("auth")


def test_killed_at_any_moment_nothing_is_sent_twice_and_nothing_is_left(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    bmcs = [system.bmc(boot_seconds=0.5) for _ in range(AT_A_KILL)]
    servers = [system.server(bmc) for bmc in bmcs]
    key = system.key(*servers)
    chance = random.Random(os.environ.get("FAULT_SEED", "1"))
    kills = [kill_server_ops, kill_server_ops, kill_bmc_workers, kill_auth]
    ends: Counter[str] = Counter()
    done: Counter[str] = Counter()
    slowest = 0.0
    doubles = wrong = 0
    for _ in range(KILLS):
        before = [bmc.chassis_commands() for bmc in bmcs]
        names = [reboot(system, server, key) for server in servers]
        time.sleep(chance.uniform(0, 1.2))  # the moment itself is what is tried, not a condition
        kill = chance.choice(kills)
        kill(system)
        done[kill.__name__] += 1
        begin = time.monotonic()
        for bmc, name, was in zip(bmcs, names, before, strict=True):
            operation = system.finished(name, key, seconds=TERMINAL_SECONDS)
            commands = bmc.chassis_commands() - was
            doubles += commands > 1
            wrong += not is_true(told(operation), commands)
            ends[told(operation)] += 1
        slowest = max(slowest, time.monotonic() - begin)
    with capsys.disabled():
        print(
            f" [{KILLS} kills {dict(done)}, {sum(ends.values())} reboots: {dict(ends)}; "
            f"{doubles} executed twice, 0 stuck, {wrong} wrong ends; the last one ended "
            f"{slowest:.1f} s after a restart]",
            end="",
        )
    assert (doubles, wrong) == (0, 0)
    assert slowest < TERMINAL_SECONDS


def test_under_loss_a_reboot_is_at_most_one_command_and_its_end_is_the_truth(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: Counter[str] = Counter()
    doubles = wrong = 0
    with ExitStack() as exits:
        lines: list[tuple[IpmiSim, str]] = []
        for number in range(LOSSY_BMCS):
            bmc = system.bmc(boot_seconds=0.5)
            proxy = exits.enter_context(LossyProxy(bmc.port, loss=LOSS, seed=number))
            lines.append((bmc, system.server(bmc, port=proxy.port)))
        key = system.key(*(server for _, server in lines))
        for _ in range(REBOOTS_UNDER_LOSS // LOSSY_BMCS):
            before = [bmc.chassis_commands() for bmc, _ in lines]
            names = [reboot(system, server, key) for _, server in lines]
            for (bmc, _), name, was in zip(lines, names, before, strict=True):
                operation = system.finished(name, key, seconds=120)
                commands = bmc.chassis_commands() - was
                doubles += commands > 1
                wrong += not is_true(told(operation), commands)
                ends[told(operation)] += 1
    with capsys.disabled():
        print(
            f" [{sum(ends.values())} reboots with {LOSS:.0%} of the datagrams lost both ways: "
            f"{dict(ends)}; {doubles} executed twice, 0 stuck, {wrong} wrong ends]",
            end="",
        )
    assert (doubles, wrong) == (0, 0)
