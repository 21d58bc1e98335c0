"""Monitoring: measuring a fleet every minute, what it takes to keep, and to read a year of it."""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx
from f2h.server_ops.v1 import inventory_pb2
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, insert, update
from sqlmodel import col

from bench.load import BenchError
from bench.report import Finding, verdict
from lab.ports import HOST, free_port
from lab.process import Process
from lab.stack import ROOT, Ports, Stack
from services.server_ops.monitoring.chunk import Chunk
from services.server_ops.monitoring.series import (
    RAW,
    ROLLED_UP,
    Resolution,
)
from services.server_ops.store.tables import ChunkRow, MonitoredRow

SERVERS = 1000
FIRST_PORT = 61_000
"""Above what the system gives to outgoing connections."""
SERIES = 20
DIFFERENT = 20
"""So many servers' measurements are made up; the others repeat them."""

ENOUGH = 0.99
"""The part of the BMCs without which the figures would be of something else."""

MINUTES = 3
QUESTIONS = 300

BYTES = 10**9
P99_MS = 200.0
"""The aims: what all of it may take to keep, and a year's series to read."""

ACCOUNT = "bench"
USERNAME, PASSWORD = "admin", "not-a-secret"


def measure() -> Finding:
    """Runs all on one system with a simulated fleet. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _system(Path(folder)) as stack:
        key = _key(stack)
        stack.stop()
        database = stack.run / "server_ops.db"
        before = database.stat().st_size
        _fill(database)
        stored = database.stat().st_size - before
        stack.start()
        asked = _ask(stack, key)
        with _fleet(Path(folder)) as fleet:
            collected = _collect(stack, fleet)
    p99 = quantiles(asked, n=100)[98] * 1000
    rows = [
        *([name, figure] for name, figure in collected.items()),
        [f"{SERVERS} servers x {SERIES} series, kept in full, MB", f"{stored / 1e6:.0f}"],
        ["bytes a point that was measured or rolled up", f"{stored / _points():.1f}"],
        ["a year of all series over REST, median ms", f"{median(asked) * 1000:.1f}"],
        ["a year of all series over REST, p99 ms", f"{p99:.1f}"],
    ]
    return Finding(
        "Monitoring",
        f"{SERVERS} simulated BMCs with four sensors each, on the same machine as all else,\n"
        f"measured for {MINUTES} minutes. Kept: a made-up walk for each series, every slot of\n"
        f"every resolution filled. {QUESTIONS} questions, one after another, before that.\n"
        "A round counts as missed when a whole step has passed: in a run of 3 minutes the rate\n"
        "was between 542 and 1025 a minute, and none was missed after the start.",
        (("what", ""), ("figure", "of the machine above; 100 % is one core.")),
        rows,
        [
            verdict("size of the store / 1 GB", stored / BYTES, most=1.0),
            verdict(f"p99 of a year's series / {P99_MS:g} ms", p99 / P99_MS, most=1.0),
        ],
    )


@contextmanager
def _system(folder: Path) -> Iterator[Stack]:
    """A system with servers, whose BMCs do not answer yet."""
    with Stack(folder / "run", Ports.free()) as stack:
        stack.account(ACCOUNT)
        for number, bmc in enumerate(_bmcs()):
            stack.register(
                inventory_pb2.PutServerRequest(
                    hostname=str(bmc["hostname"]),
                    account=ACCOUNT,
                    ips=[f"198.18.{number >> 8}.{number & 255}"],
                    datacenter="EU-WEST-F2H",
                    mac=str(bmc["mac"]),
                    bmc_address=HOST,
                    bmc_port=FIRST_PORT + number,
                    bmc_username=USERNAME,
                    bmc_password=PASSWORD,
                )
            )
        yield stack


@contextmanager
def _fleet(folder: Path) -> Iterator[list[Process]]:
    """The BMCs, in two processes: a simulator takes more than what asks it."""
    bmcs, processes = _bmcs(), []
    for half in range(2):
        config = folder / f"fleet{half}.json"
        config.write_text(
            json.dumps({"url": f"http://{HOST}:{free_port()}", "bmcs": bmcs[half::2]})
        )
        command = [sys.executable, "-m", "lab.fleet", "--config", str(config)]
        log = folder / f"fleet{half}.log"
        processes.append(Process("fleet", command, log, {"PYTHONPATH": str(ROOT)}))
    try:
        yield processes
    finally:
        for process in processes:
            process.stop()


def _bmcs() -> list[dict[str, object]]:
    return [
        {
            "hostname": f"ns{number}.bench.example.net",
            "mac": f"0c:c4:7a:01:{number >> 8:02x}:{number & 255:02x}",
            "address": HOST,
            "port": FIRST_PORT + number,
            "username": USERNAME,
            "password": PASSWORD,
        }
        for number in range(SERVERS)
    ]


def _collect(stack: Stack, fleet: list[Process]) -> dict[str, str]:
    ours, theirs = [stack.processes["server_ops"]], fleet
    time.sleep(150)  # BMCs that were dead are asked again after a minute at most
    begin, before = time.monotonic(), _rounds(stack)
    spent, spent_by_fleet = _processor_seconds(ours), _processor_seconds(theirs)
    time.sleep(60 * MINUTES)
    seconds, after = time.monotonic() - begin, _rounds(stack)
    share = (_processor_seconds(ours) - spent) / seconds
    share_of_fleet = (_processor_seconds(theirs) - spent_by_fleet) / seconds
    measured = after["f2h_monitoring_rounds_total"] - before["f2h_monitoring_rounds_total"]
    name = "f2h_monitoring_missed_rounds_total"
    missed = after[name] - before[name]
    if after["up"] < SERVERS * ENOUGH:
        raise BenchError(f"{after['up']:.0f} of {SERVERS} BMCs were read")
    return {
        "rounds a minute": f"{measured / seconds * 60:.0f}",
        "missed rounds": f"{missed:.0f}",
        "BMCs that the newest round of theirs has read": f"{after['up']:.0f}",
        "CPU of server_ops and its workers, %": f"{share * 100:.0f}",
        "CPU of the simulated BMCs, %": f"{share_of_fleet * 100:.0f}",
        "CPU a round, ms": f"{share * seconds / measured * 1000:.1f}",
    }


def _rounds(stack: Stack) -> dict[str, float]:
    text = httpx.get(f"http://{HOST}:{stack.ports.metrics}/metrics", timeout=30).text
    found: dict[str, float] = {"up": 0}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("f2h_monitoring") and not sample.labels:
                found[sample.name] = sample.value
            elif sample.name == "ipmi_up":
                found["up"] += sample.value
    return found


def _processor_seconds(processes: list[Process]) -> float:
    """What processes, and those that they started, have used of the processors."""
    tick = os.sysconf("SC_CLK_TCK")
    parents = {process.pid for process in processes}
    total = 0.0
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(path.parent.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / tick)
    grown = True
    while grown:
        children = {pid for pid, (parent, _) in stats.items() if parent in parents} - parents
        grown = bool(children)
        parents |= children
    for pid in parents:
        total += stats.get(pid, (0, 0.0))[1]
    return total


def _key(stack: Stack) -> str:
    form = {
        "account": ACCOUNT,
        "servers": [f"ns{number}.bench.example.net" for number in range(SERVERS)],
        "capabilities": ["monitoring.read"],
    }
    answer = stack.noc("POST", "/api/keys", json=form)
    if not answer.is_success:
        raise BenchError(answer.text)
    return str(answer.json()["secret"])


def _fill(database: Path) -> None:
    """Two years of measurements of every server, as the collector would have left them."""
    now = int(time.time())
    hour = now - now % RAW.span
    chance = random.Random(1)
    made = [_made_up(chance, hour) for _ in range(DIFFERENT)]
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(ChunkRow.__table__.delete())  # type: ignore[attr-defined]
        for number in range(SERVERS):
            hostname = f"ns{number}.bench.example.net"
            rows = [
                {"hostname": hostname, "step": step, "start": start, "content": content}
                for (step, start), content in made[number % DIFFERENT].items()
            ]
            connection.execute(insert(ChunkRow), rows)
            this = update(MonitoredRow).where(col(MonitoredRow.hostname) == hostname)
            connection.execute(this.values(rolled_until=hour))
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _made_up(chance: random.Random, end: int) -> Mapping[tuple[int, int], bytes]:
    """The chunks of one server, by step and start."""
    names = [
        *(f"temperature/Sensor {number}" for number in range(8)),
        *(f"fan/FAN{number}" for number in range(6)),
        *("power_draw/PSU1", "power_draw/PSU2", "traffic/in", "traffic/out"),
        *("power", "reachability/icmp"),
    ]
    kept = {}
    for resolution in (RAW, *ROLLED_UP):
        chunks: dict[int, Chunk] = {}
        levels = dict.fromkeys(names, 40.0)
        for at in range(end - resolution.keep, end, resolution.step):
            begin = at - at % resolution.step
            chunk = chunks.setdefault(
                begin - begin % resolution.span,
                Chunk(resolution, begin - begin % resolution.span),
            )
            chunk.put(begin, {name: _walk(chance, name, levels, resolution) for name in names})
        for start, chunk in chunks.items():
            kept[resolution.step, start] = chunk.encode()
    return kept


def _walk(
    chance: random.Random, name: str, levels: dict[str, float], resolution: Resolution
) -> tuple[float, ...]:
    """The next value of a series: what a sensor of its kind shows."""
    kind = name.partition("/")[0]
    if kind in {"power", "reachability"}:
        return (1.0,) if resolution is RAW else (1.0, 1.0, 1.0)
    levels[name] = min(80.0, max(20.0, levels[name] + chance.choice([-1, 0, 0, 1])))
    unit = {"temperature": 1.0, "fan": 60.0, "power_draw": 3.0, "traffic": 1.7e6}[kind]
    level = levels[name] * unit
    if kind == "traffic":
        level *= chance.uniform(0.5, 1.5)
    if resolution is RAW:
        return (level,)
    return level + chance.uniform(-1, 1) * unit, level - unit, level + 2 * unit


def _points() -> int:
    return SERVERS * SERIES * sum(each.keep // each.step for each in (RAW, *ROLLED_UP))


def _ask(stack: Stack, key: str) -> list[float]:
    """Seconds of each answer."""
    chance = random.Random(2)
    seconds = []
    with httpx.Client(headers={"X-API-Key": key}, timeout=30) as client:
        for number in range(QUESTIONS + 20):
            hostname = f"ns{chance.randrange(SERVERS)}.bench.example.net"
            url = f"{stack.url}/api/servers/{hostname}/monitoring?period=year"
            begin = time.monotonic()
            answer = client.get(url)
            if number >= 20:
                seconds.append(time.monotonic() - begin)
            if not answer.is_success or len(answer.json()["series"]) < SERIES:
                raise BenchError(answer.text[:200])
    return seconds
