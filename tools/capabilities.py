"""The capability that each call needs, for the edge to say so in its access log."""

from collections.abc import Iterable

from f2h.access.v1 import capability_pb2

from tools.contract import Rpc
from tools.protoc import ROOT

_CODE = ROOT / "edge" / "mend_errors.lua"
_VALUES = capability_pb2.Capability.DESCRIPTOR.values_by_number


def lua(rpcs: Iterable[Rpc]) -> str:
    """What the last Lua filter runs: the capability of each RPC, and edge/mend_errors.lua."""
    rules = [(rpc.path, rpc.rule) for rpc in rpcs if rpc.rule and rpc.rule.capability]
    needed = {path: rule.capability for path, rule in rules}
    needed |= {rule.stands_for: rule.capability for _, rule in rules if rule.stands_for}
    entries = [f'  ["{path}"] = "{_name(number)}",\n' for path, number in needed.items()]
    return f"local capabilities = {{\n{''.join(entries)}}}\n\n{_CODE.read_text()}"


def _name(number: int) -> str:
    info = _VALUES[number].GetOptions().Extensions[capability_pb2.capability]
    return str(info.id)
