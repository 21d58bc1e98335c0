"""The REST paths of a listener, for the edge to say which verbs a path answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tools.contract import Rpc, passes
from tools.protoc import ROOT

_CODE = ROOT / "edge" / "rest.lua"


@dataclass
class _Node:
    verbs: list[str] = field(default_factory=list)
    next: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None


def lua(rpcs: Iterable[Rpc], listener: str) -> str:
    """What the Lua filter of a listener runs: its paths, and edge/rest.lua.

    Raises ValueError when a literal and a variable could stand in one place of a path: the edge
    would have to guess, as would a reader.
    """
    root = _Node()
    for rpc in rpcs:
        if rpc.http and passes(rpc, listener):
            verb, template = rpc.http
            _add(root, template, verb)
    return f"local paths = {_table(root)}\n\n{_CODE.read_text()}"


def _add(root: _Node, template: str, verb: str) -> None:
    node = root
    for segment in template.strip("/").split("/"):
        if segment.startswith("{"):
            node.any = node.any or _Node()
            following = node.any
        else:
            following = node.next.setdefault(segment, _Node())
        if node.any and node.next:
            raise ValueError(f"{template}: {segment} and a variable stand in one place")
        node = following
    node.verbs.append(verb)


def _table(node: _Node) -> str:
    parts = []
    if node.verbs:
        parts.append(f'verbs = "{", ".join(sorted(node.verbs))}"')
    if node.next:
        inner = ", ".join(f'["{name}"] = {_table(each)}' for name, each in node.next.items())
        parts.append(f"next = {{{inner}}}")
    if node.any:
        parts.append(f"any = {_table(node.any)}")
    return f"{{{', '.join(parts)}}}"
