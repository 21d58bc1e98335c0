"""The console's code says what the contract says."""

import re

from f2h.access.v1 import rule_pb2

from tests.edge.contract import RPCS
from tools import console

Audience = rule_pb2.AccessRule


def audited() -> set[str]:
    """The methods of customers that the audit trail records, and signing in."""
    return {
        rpc.path.rpartition("/")[2]
        for rpc in RPCS
        if rpc.rule
        and (
            {Audience.CUSTOMER, Audience.SESSION} & {*rpc.rule.audiences}
            or rpc.path.endswith(("/Login", "/LoginWithOidc"))
        )
        and (rpc.rule.audited or (rpc.http or ("GET", ""))[0] != "GET")
    }


def test_what_is_audited_has_a_name_in_the_trail() -> None:
    text = (console.CONSOLE / "src" / "text" / "en" / "audit.ts").read_text()
    [table] = re.findall(r"export const methods[^{]*\{(.*?)\n\};", text, re.DOTALL)
    named = {*re.findall(r"^  (\w+):", table, re.MULTILINE)}
    assert len(audited()) > 20
    assert audited() - named == set()
    assert named <= {rpc.path.rpartition("/")[2] for rpc in RPCS}
