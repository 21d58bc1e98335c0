"""Every test of the whole system looks for reasons that the contract does not say."""

from pathlib import Path

import pytest

from tests.integration.conftest import System, refuse_undeclared_reasons


def test_a_service_that_logged_one_fails_the_run(tmp_path: Path) -> None:
    line = (
        '{"rpc": "/a.B/C", "reason": "IP_LISTED", "event": "undeclared reason", "level": "error"}'
    )
    (tmp_path / "auth.log").write_text('{"event": "serving"}\n')
    refuse_undeclared_reasons(tmp_path)
    (tmp_path / "security.log").write_text(f"{line}\n{line}\n")
    with pytest.raises(AssertionError, match="IP_LISTED"):
        refuse_undeclared_reasons(tmp_path)


def test_the_services_logs_are_what_is_looked_at(system: System) -> None:
    for service in system.stack.processes:
        log = (system.stack.logs / f"{service}.log").read_text()
        assert '"event": "serving"' in log
