"""What the descriptor says must pass each listener, and example requests made from it."""

import json
import re
from collections.abc import Mapping

from f2h.access.v1 import rule_pb2

from tools import contract, gen

Audience = rule_pb2.AccessRule.Audience

LISTENERS: Mapping[str, frozenset[int]] = {
    "public": frozenset({Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}),
    "internal": frozenset({Audience.PUBLIC, Audience.NOC, Audience.STAFF}),
}
"""The audiences of each listener."""

RPCS = tuple(contract.rpcs(gen.read()))

EXAMPLE = "ns3070587.ip-149-202-215.eu"
"""Stands for every variable of a path: a hostname, whose dots must not end it."""


def passes(rpc: contract.Rpc, listener: str) -> bool:
    return bool(rpc.rule and LISTENERS[listener].intersection(rpc.rule.audiences))


def rest(rpc: contract.Rpc) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Verb, path, body and headers of a REST call."""
    assert rpc.http is not None
    verb, template = rpc.http
    path = re.sub(r"\{[^}]+\}", EXAMPLE, template)
    body = json.dumps({}).encode() if verb in {"POST", "PUT", "PATCH"} else None
    return verb, path, body, {"content-type": "application/json"} if body else {}
