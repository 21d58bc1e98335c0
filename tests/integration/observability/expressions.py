"""What PromQL expressions ask for, and what a scrape has."""

import re

_NOT_NAMES = (
    r'"(\\.|[^"\\])*"',
    r"\{[^}]*\}",
    r"\[[^\]]*\]",
    r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",
)
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})

MADE_BY_PROMETHEUS = frozenset({"up"})


def names(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    for pattern in _NOT_NAMES:
        expression = re.sub(pattern, " ", expression)
    found = re.findall(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()", expression)
    return {*found} - _WORDS - MADE_BY_PROMETHEUS


def exposed(scrape: str) -> set[str]:
    """The metrics that a scrape has, also those that have no sample yet."""
    suffixes = {"histogram": ("_bucket", "_count", "_sum")}
    return {
        name + suffix
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", scrape, re.MULTILINE)
        for suffix in suffixes.get(kind, ("",))
    }
