"""What the descriptor says must pass each listener, and example requests made from it."""

import json
import re

from tools import contract, gen

RPCS = tuple(contract.rpcs(gen.read()))

EXAMPLE = "ns3070587.ip-149-202-215.eu"
"""Stands for every variable of a path: a hostname, whose dots must not end it."""


def rest(rpc: contract.Rpc) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Verb, path, body and headers of a REST call."""
    assert rpc.http is not None
    verb, template = rpc.http
    path = re.sub(r"\{[^}]+\}", EXAMPLE, template)
    body = json.dumps({}).encode() if verb in {"POST", "PUT", "PATCH"} else None
    return verb, path, body, {"content-type": "application/json"} if body else {}
