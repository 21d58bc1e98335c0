"""Promise 9: secrets are in no log, no error, no database in the clear, no process list."""

from pathlib import Path

from tests.integration.conftest import System


def test_no_secret_is_anywhere_that_a_run_wrote(system: System) -> None:
    bmc = system.bmc(password="canary-in-a-bmc")
    server = system.server(bmc)
    key = system.key(server)
    wrong = system.key(server, capabilities=["ipmi.status"])
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    system.finished(name, key)
    system.rest("POST", f"/api/servers/{server}/reboot", wrong)
    system.rest("GET", f"/api/servers?x={key.secret}", key)

    stack = system.stack
    files = [each for each in stack.secrets.iterdir() if not each.name.startswith("principal_pub")]
    canaries = {
        "the key": key.secret.split(".")[2],
        "the refused key": wrong.secret.split(".")[2],
        "the BMC's password": bmc.password,
        **{each.name: each.read_text().strip() for each in files},
    }
    canaries["NOC key"] = stack.noc_key().split(".")[2]
    written = [
        each
        for each in stack.run.rglob("*")
        if each.is_file() and stack.secrets not in each.parents
    ]
    assert [each for each in written if each.suffix == ".db"]
    assert [each for each in written if each.suffix == ".log"]
    for path in written:
        content = path.read_bytes()
        found = [name for name, canary in canaries.items() if canary.encode() in content]
        assert not found, f"{path} holds {found}"
    for process in stack.processes.values():
        for what in ("cmdline", "environ"):
            content = Path(f"/proc/{process.pid}/{what}").read_bytes()
            found = [name for name, canary in canaries.items() if canary.encode() in content]
            assert not found, f"{what} of {process.name} holds {found}"
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert stack.secrets.stat().st_mode & 0o777 == 0o700
