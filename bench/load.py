"""Load by wrk, and what the answering processes spend on it."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32

_SCRIPT = Path(__file__).with_name("wrk.lua")
_TICK = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The figures would mean nothing; the text is for the person who measures."""


@dataclass(frozen=True)
class Round:
    """What one round of load showed."""

    rate: float
    """Requests answered a second."""
    p50: float
    """Milliseconds."""
    p99: float
    cpu: float
    """Processor microseconds that the answering processes spent for each request."""


def require_wrk() -> None:
    """Raises BenchError when wrk is not there."""
    if shutil.which("wrk") is None:
        raise BenchError("wrk is missing: sudo apt-get install wrk")


def load(url: str, header: tuple[str, str], pids: Sequence[int], seconds: int) -> Round:
    """GETs `url` over and over with the header, a name and a value.

    Raises BenchError when one answer is not a success.
    """
    before = sum(map(_cpu_seconds, pids))
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT), url],
        env={**os.environ, "BENCH_HEADER": header[0], "BENCH_CREDENTIAL": header[1]},
        capture_output=True,
        text=True,
        check=False,
    )
    cpu = sum(map(_cpu_seconds, pids)) - before
    if done.returncode != 0:
        raise BenchError(f"wrk failed: {done.stderr or done.stdout}")
    said = json.loads(done.stderr)
    if said["refused"] or said["failed"] or not said["requests"]:
        raise BenchError(f"not every request to {url} was answered with success: {said}")
    return Round(
        rate=said["requests"] / said["microseconds"] * 1e6,
        p50=said["p50"] / 1000,
        p99=said["p99"] / 1000,
        cpu=cpu / said["requests"] * 1e6,
    )


def _cpu_seconds(pid: int) -> float:
    """Processor time that a process has had, all its threads, user and system: see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
