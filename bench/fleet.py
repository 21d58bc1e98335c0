"""BMCs: a whole fleet's power, one server's, and what dead BMCs cost the others."""

import asyncio
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

import httpx

from bench.load import BenchError
from bench.report import Finding, verdict
from lab import demo
from lab.ipmi_sim import IpmiSim
from lab.stack import Ports, Stack
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.bmc.observation import PowerState

BMCS = 200
DEAD = BMCS // 5
AT_ONCE = 8
"""How many ipmitool processes run at a time, as most scripts do it."""
ROUNDS = 5
STATUSES = 20
PORT = 623
USERNAME, PASSWORD = "admin", "not-a-secret"
REBOOTS = 10

LOAD_SECONDS = 12.0
ASKED_SECONDS = 2.0
"""Each server is asked once in so long, at a moment of its own."""

IPMIPOWER, IPMITOOL, FRESH, DEARER = 1.0, 8.0, 10.0, 1.5
"""The aims: how many times as fast as each peer, and what dead BMCs may cost the others."""

_COLUMNS = (
    ("what", ""),
    ("median ms", "half of the rounds took less."),
    ("slowest ms", "what the slowest round took."),
)


def measure() -> Finding:
    """Runs all on one simulated fleet. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _fleet(Path(folder)) as fleet:
        return asyncio.run(_measure(fleet, Path(folder)))


@contextmanager
def _fleet(folder: Path) -> Iterator[list[IpmiSim]]:
    with ExitStack() as exits:
        yield [
            exits.enter_context(
                IpmiSim(
                    folder / f"bmc{number}", PORT, USERNAME, PASSWORD, address=f"127.0.1.{number}"
                )
            )
            for number in range(1, BMCS + 1)
        ]


async def _measure(fleet: list[IpmiSim], folder: Path) -> Finding:
    governor = BmcGovernor()
    try:
        sweeps, statuses = await _sweeps(governor, fleet, folder)
        alive = await _load(governor, fleet)
        for bmc in fleet[:DEAD]:
            bmc.stop()
        beside_dead = await _load(governor, fleet[DEAD:], fleet[:DEAD])
    finally:
        await governor.close()
    reboots = await asyncio.to_thread(_reboots, folder)
    rows = [
        *(_row(name, seconds) for name, seconds in sweeps.items()),
        *(_row(name, seconds) for name, seconds in statuses.items()),
        ["a status while all answer, p99", f"{_p99(alive):.1f}", f"{max(alive) * 1000:.1f}"],
        [
            f"a status while {DEAD} of {BMCS} are dead, p99",
            f"{_p99(beside_dead):.1f}",
            f"{max(beside_dead) * 1000:.1f}",
        ],
        _row("from an accepted reboot to the chassis command", reboots),
    ]
    ours, ipmipower, ipmitool = sweeps.values()
    warm, fresh = statuses.values()
    return Finding(
        "A fleet of BMCs",
        f"{BMCS} of Debian's ipmi_sim on loopback, each a process that runs a shell for an\n"
        f"answer. Sweeps: {ROUNDS} rounds in turn, ours with the sessions that it keeps. Dead\n"
        f"BMCs: each server is asked every {ASKED_SECONDS:g} s for {LOAD_SECONDS:g} s; what the\n"
        "others answer counts.",
        _COLUMNS,
        rows,
        [
            verdict("ipmipower / ours, sweep", _times(ipmipower, ours), least=IPMIPOWER),
            verdict("ipmitool / ours, sweep", _times(ipmitool, ours), least=IPMITOOL),
            verdict("fresh ipmitool / warm status", _times(fresh, warm), least=FRESH),
            verdict("p99 with dead BMCs / without", _p99(beside_dead) / _p99(alive), most=DEARER),
        ],
    )


async def _sweeps(
    governor: BmcGovernor, fleet: list[IpmiSim], folder: Path
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each round: of sweeps, and of one server's status."""
    secret = folder / "password"
    secret.write_text(PASSWORD)
    turns: dict[str, Callable[[], object]] = {
        "ipmipower": lambda: _ipmipower(secret),
        "ipmitool": lambda: _ipmitool(fleet),
    }
    names = {
        "ours": f"the power of all {BMCS}: ours",
        "ipmipower": f"the power of all {BMCS}: ipmipower --stat",
        "ipmitool": f"the power of all {BMCS}: ipmitool, {AT_ONCE} at a time",
    }
    sweeps: dict[str, list[float]] = {name: [] for name in names}
    await _sweep(governor, fleet)
    order = [*names]
    for _ in range(ROUNDS):
        for name in order:
            begin = time.monotonic()
            if name == "ours":
                await _sweep(governor, fleet)
            else:
                await asyncio.to_thread(turns[name])
            sweeps[name].append(time.monotonic() - begin)
        order = [*order[1:], order[0]]
    warm, fresh = [], []
    for bmc in fleet[:STATUSES]:
        begin = time.monotonic()
        await governor.power(_endpoint(bmc))
        middle = time.monotonic()
        await asyncio.to_thread(bmc.ask, "chassis", "power", "status")
        warm.append(middle - begin)
        fresh.append(time.monotonic() - middle)
    statuses = {"one server: ours, warm": warm, "one server: a fresh ipmitool": fresh}
    return {names[name]: seconds for name, seconds in sweeps.items()}, statuses


async def _sweep(governor: BmcGovernor, fleet: Sequence[IpmiSim]) -> None:
    told = await asyncio.gather(*(governor.power(_endpoint(bmc)) for bmc in fleet))
    if set(told) != {PowerState.ON}:
        raise BenchError(f"the fleet is on, and the sweep says {set(told)}")


def _ipmipower(secret: Path) -> None:
    # It takes a password on its command line or from a file of its own form.
    config = secret.with_name("freeipmi.conf")
    config.write_text(f"username {USERNAME}\npassword {PASSWORD}\n")
    config.chmod(0o600)
    command = ["ipmipower", "--stat", "-h", f"127.0.1.[1-{BMCS}]", "-I", "3", "-l", "ADMIN"]
    command += ["-W", "sun20", "--config-file", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.count(": on") != BMCS:
        raise BenchError(f"ipmipower says: {done.stdout[:200]} {done.stderr[:200]}")


def _ipmitool(fleet: Sequence[IpmiSim]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(lambda bmc: bmc.ask("chassis", "power", "status").stdout, fleet)
        if not all("is on" in each for each in told):
            raise BenchError("ipmitool does not say that all are on")


async def _load(
    governor: BmcGovernor, healthy: Sequence[IpmiSim], dead: Sequence[IpmiSim] = ()
) -> list[float]:
    """Seconds of each answer of the healthy ones, while all are asked."""
    seconds: list[float] = []
    chance = random.Random(1)
    until = time.monotonic() + LOAD_SECONDS

    async def ask(bmc: IpmiSim, kept: list[float]) -> None:
        await asyncio.sleep(chance.uniform(0, ASKED_SECONDS))
        while (begin := time.monotonic()) < until:
            with suppress(BmcUnreachable):
                await governor.power(_endpoint(bmc))
                kept.append(time.monotonic() - begin)
            await asyncio.sleep(max(0.0, begin + ASKED_SECONDS - time.monotonic()))

    await asyncio.gather(*(ask(bmc, seconds) for bmc in healthy), *(ask(bmc, []) for bmc in dead))
    return seconds


def _reboots(folder: Path) -> list[float]:
    """Seconds from the answer that accepts a reboot to the BMC that executes it."""
    with (
        Stack(run=folder / "stack", ports=Ports.free()) as stack,
        IpmiSim(folder / "rebooted", boot_seconds=0.1) as bmc,
    ):
        server = demo.servers(bmc.password, bmc.port)[0]
        stack.account(demo.ACCOUNT)
        stack.register(server)
        form = {
            "account": demo.ACCOUNT,
            "label": "bench",
            "servers": [server.hostname],
            "capabilities": ["server.reboot", "server.details"],
        }
        key = stack.noc("POST", "/api/keys", json=form).json()["secret"]
        headers = {"X-API-Key": key}
        executed = folder / "rebooted" / "executed"
        seconds = []
        for _ in range(REBOOTS):
            url = f"{stack.url}/api/servers/{server.hostname}/reboot"
            name = httpx.post(url, headers=headers).raise_for_status().json()["name"]
            accepted = time.time()
            while not httpx.get(f"{stack.url}/api/{name}", headers=headers).json()["done"]:
                time.sleep(0.2)  # to be polite
            seconds.append(executed.stat().st_mtime - accepted)
        if bmc.chassis_commands() != REBOOTS:
            raise BenchError(f"{REBOOTS} reboots were {bmc.chassis_commands()} commands")
    return seconds


def _endpoint(bmc: IpmiSim) -> BmcEndpoint:
    return BmcEndpoint(bmc.address, bmc.port, USERNAME.encode(), PASSWORD.encode())


def _row(name: str, seconds: Sequence[float]) -> list[str]:
    return [name, f"{median(seconds) * 1000:.1f}", f"{max(seconds) * 1000:.1f}"]


def _p99(seconds: Sequence[float]) -> float:
    """Milliseconds."""
    return quantiles(seconds, n=100)[98] * 1000


def _times(peer: Sequence[float], ours: Sequence[float]) -> float:
    """Round by round, since what disturbs the machine disturbs neighbours alike."""
    return median(theirs / mine for theirs, mine in zip(peer, ours, strict=True))
