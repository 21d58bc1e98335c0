"""`GET /api/servers/{hostname}`: ours by key and by token, a monolith, an empty stack."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import targets
from bench.load import CONNECTIONS, Round, load
from bench.report import Finding, verdict

ROUNDS = 5
ROUND_SECONDS = 4
WARM_UP_SECONDS = 2

OVER_MONOLITH = 4.0
OVER_EMPTY = 0.8
OVER_KEY = 1.8

_NAMES = {
    "ours": "ours, with a key",
    "token": "ours, with a token",
    "monolith": "(a) FastAPI + SQLModel, one worker",
    "empty": "(b) the same Envoy, empty services",
}

_COLUMNS = (
    ("answered by", ""),
    ("requests/s", "requests answered in a second."),
    ("p50 ms", "half of the answers came within this time."),
    ("p99 ms", "99 of 100 answers came within this time."),
    ("CPU µs", "processor time that all answering processes together spent on a request."),
)


def measure() -> Finding:
    """Runs all three at once and loads them in turn. Raises BenchError."""
    with ExitStack() as stack:
        run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        running = [
            *stack.enter_context(targets.ours(run / "ours")),
            stack.enter_context(targets.monolith(run)),
            stack.enter_context(targets.empty(run)),
        ]
        for target in running:
            load(target.url, target.header, target.pids, WARM_UP_SECONDS)
        rounds: dict[str, list[Round]] = {target.name: [] for target in running}
        for _ in range(ROUNDS):
            for target in running:
                rounds[target.name].append(
                    load(target.url, target.header, target.pids, ROUND_SECONDS)
                )
                target.check()
            running = [*running[1:], running[0]]
    return Finding(
        "Reading a server",
        f"`GET /api/servers/{{hostname}}`, {CONNECTIONS} connections of wrk on\n"
        f"the same machine; {ROUNDS} rounds of {ROUND_SECONDS} s in turn, the first one changing;\n"
        "medians.",
        _COLUMNS,
        [_row(_NAMES[name], each) for name, each in rounds.items()],
        [
            verdict(
                "key / (a), requests/s", _ratio(rounds, "ours", "monolith"), least=OVER_MONOLITH
            ),
            verdict("key / (b), requests/s", _ratio(rounds, "ours", "empty"), least=OVER_EMPTY),
            verdict("token / key, requests/s", _ratio(rounds, "token", "ours"), least=OVER_KEY),
        ],
    )


def _row(name: str, rounds: list[Round]) -> list[str]:
    return [
        name,
        f"{median(each.rate for each in rounds):.0f}",
        f"{median(each.p50 for each in rounds):.1f}",
        f"{median(each.p99 for each in rounds):.1f}",
        f"{median(each.cpu for each in rounds):.0f}",
    ]


def _ratio(rounds: dict[str, list[Round]], which: str, peer: str) -> float:
    """Round by round, since what disturbs the machine disturbs neighbours alike."""
    pairs = zip(rounds[which], rounds[peer], strict=True)
    return median(mine.rate / other.rate for mine, other in pairs)
