"""The console's code says what the contract says."""

import json
import re

from f2h.access.v1 import rule_pb2

from tests.edge.contract import RPCS
from tools import console, gen

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


def test_the_form_knows_what_begins_operations_that_server_details_shows() -> None:
    text = (console.CONSOLE / "src" / "keys" / "key-form-page.tsx").read_text()
    [known] = re.findall(r"const FOLLOWED = new Set\(\[(.*?)\]\)", text, re.DOTALL)
    document = json.loads((gen.GEN / "openapi.json").read_text())
    operations = [each for path in document["paths"].values() for each in path.values()]
    begin = {each["x-f2h-capability"] for each in operations if "x-f2h-long-running" in each}
    # Those of security are shown to who may ask for them.
    assert {*re.findall(r'"([^"]+)"', known)} == begin - {"antispam.unblock"}
