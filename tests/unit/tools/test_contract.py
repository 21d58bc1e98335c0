"""The contract's own checks find what they are for."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import contract, gen, protoc
from tools.breaking import breaks

REBOOT = "f2h/server_ops/v1/reboot.proto"


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    return Path(shutil.copytree(protoc.PROTOS, tmp_path / "protos"))


def _edit(protos: Path, change: Callable[[str], str]) -> None:
    path = protos / REBOOT
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


def _faults(protos: Path, tmp_path: Path) -> list[str]:
    image = tmp_path / "image.binpb"
    protoc.image(protos, image)
    return contract.faults(gen.read(image))


def test_the_contract_has_no_fault(protos: Path, tmp_path: Path) -> None:
    assert _faults(protos, tmp_path) == []


def test_an_rpc_without_an_access_rule_is_a_fault(protos: Path, tmp_path: Path) -> None:
    def without_rule(text: str) -> str:
        start = text.index("    option (f2h.access.v1.rule)")
        return text[:start] + text[text.index("};", start) + 3 :]

    _edit(protos, without_rule)
    rpc = "/f2h.server_ops.v1.RebootService/RebootServer"
    fault = f"{rpc} has no access rule: add option (f2h.access.v1.rule)"
    assert _faults(protos, tmp_path) == [fault]


def test_an_rpc_without_a_comment_is_a_fault(protos: Path, tmp_path: Path) -> None:
    def without_comment(text: str) -> str:
        start, end = text.index("  // Customer Reboot Server"), text.index("  rpc RebootServer")
        return text[:start] + text[end:]

    _edit(protos, without_comment)
    assert [f for f in _faults(protos, tmp_path) if "comment" in f]


def test_a_reason_that_follows_from_the_rule_is_not_said_again(
    protos: Path, tmp_path: Path
) -> None:
    again = "call: [\n        KEY_REVOKED,"
    _edit(protos, lambda text: text.replace("call: [", again, 1))
    assert [f for f in _faults(protos, tmp_path) if "fails with KEY_REVOKED, which follows" in f]


def test_an_operation_that_is_not_said_to_fail_is_a_fault(protos: Path, tmp_path: Path) -> None:
    def without_failures(text: str) -> str:
        start = text.index("      operation: [")
        return text[:start] + text[text.index("]", start) + 1 :]

    _edit(protos, without_failures)
    assert [f for f in _faults(protos, tmp_path) if "what that fails with" in f]


def test_a_rule_that_names_a_missing_field_is_a_fault(protos: Path, tmp_path: Path) -> None:
    _edit(protos, lambda text: text.replace('server_field: "hostname"', 'server_field: "host"'))
    assert [f for f in _faults(protos, tmp_path) if "server_field = 'host'" in f]


def test_only_plain_values_are_recorded(protos: Path, tmp_path: Path) -> None:
    given = "  bytes blob = 9 [(f2h.access.v1.recorded) = true];\n"
    of = "message RebootServerRequest {\n"
    _edit(protos, lambda text: text.replace(of, of + given))
    assert [f for f in _faults(protos, tmp_path) if "has blob recorded" in f]


def test_an_rpc_for_customers_without_a_capability_is_a_fault(protos: Path, tmp_path: Path) -> None:
    _edit(protos, lambda text: text.replace("      capability: CAPABILITY_SERVER_REBOOT\n", ""))
    assert [f for f in _faults(protos, tmp_path) if "without a capability" in f]


def test_a_field_that_changes_its_type_is_found_to_break(protos: Path) -> None:
    _edit(protos, lambda text: text.replace("  Mode mode = 2", "  string mode = 2"))
    assert 'Field "2"' in breaks(protoc.PROTOS, protos)


def test_a_field_that_is_taken_away_is_found_to_break(protos: Path) -> None:
    _edit(protos, lambda text: text.replace("  Proof proof = 1;", ""))
    assert "proof" in breaks(protoc.PROTOS, protos)


def test_a_new_field_breaks_nothing(protos: Path) -> None:
    _edit(
        protos,
        lambda text: text.replace("  Proof proof = 1;", "  Proof proof = 1;\n  string note = 9;"),
    )
    assert breaks(protoc.PROTOS, protos) == ""
