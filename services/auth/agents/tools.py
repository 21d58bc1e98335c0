"""The tools of AI agents: operations of the API, as the Model Context Protocol describes tools."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self

from services.runtime.access import Rule


@dataclass(frozen=True)
class Tool:
    """A tool, and who may call it."""

    name: str
    rule: Rule
    """The access rule of the RPC that it is."""
    definition: dict[str, Any]
    """A Tool of the protocol, as JSON."""


class Tools:
    """All of them."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = tuple(tools)

    @classmethod
    def generated(cls, rules: Mapping[str, Rule]) -> Self:
        """Those that tools.mcp made of the contract; `rules` has the rule of each one's RPC."""
        made = json.loads(files("f2h").joinpath("mcp.json").read_text())
        return cls(
            Tool(each["definition"]["name"], rules[each["rpc"]], each["definition"])
            for each in made
        )

    def __iter__(self) -> Iterator[Tool]:
        """Each of them, in the order of the contract."""
        return iter(self._tools)

    def of(self, capabilities: frozenset[str]) -> list[Tool]:
        """The tools that a key with these capabilities may call, in the order of the contract."""
        return [
            each
            for each in self._tools
            if each.rule.any_key or each.rule.capability in capabilities
        ]
