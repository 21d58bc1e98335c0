"""From a scoped key to a machine that really boots, and back."""

import subprocess
from pathlib import Path
from typing import Any

from lab.node import Node
from tests.integration.conftest import Key, System

SECONDS = 240.0
RESCUE = ("server.details", "server.reboot", "rescue.enter", "rescue.exit")


def ended(system: System, hostname: str, key: Key, path: str, **form: Any) -> dict[str, Any]:
    """The operation that was asked for, when it has ended well."""
    answer = system.rest("POST", f"/api/servers/{hostname}{path}", key, json=form)
    assert answer.status_code == 200, answer.text
    operation = system.finished(answer.json()["name"], key, SECONDS)
    assert "response" in operation, operation
    response: dict[str, Any] = operation["response"]
    return response


def ssh(node: Node, folder: Path, host_key: str, command: str) -> str:
    """What a command says on the node, whose host key is the one that was told."""
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{node.ssh_port} {host_key}\n")
    options = {
        "UserKnownHostsFile": known,
        "StrictHostKeyChecking": "yes",
        "IdentityFile": folder / "id",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "20",
    }
    done = subprocess.run(
        [
            *("ssh", "-F", "none", "-p", str(node.ssh_port)),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            *("root@127.0.0.1", command),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_machine_is_rescued(system: System, tmp_path: Path) -> None:
    node = system.machine()
    hostname = system.server(node.bmc, mac=node.mac)
    key = system.key(hostname, capabilities=RESCUE)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")], check=True
    )
    mine = (tmp_path / "id.pub").read_text().strip()

    entered = ended(system, hostname, key, "/rescue/enter", ssh_keys=[mine])
    rescue = system.rest("GET", f"/api/servers/{hostname}/rescue", key).json()
    assert rescue["state"] == "ACTIVE"
    assert rescue["ssh_host_key_fingerprints"] == entered["ssh_host_key_fingerprints"]
    [host_key] = rescue["ssh_host_keys"]
    assert ssh(node, tmp_path, host_key, "hostname; uname -s").split() == [hostname, "Linux"]
    first = node.pid()

    left = ended(system, hostname, key, "/rescue/exit")
    # Its disk is empty: it asked the network again, and was sent to its disk again.
    assert left["proof"] == "BOOT_SCRIPT"
    assert node.pid() not in {first, None}
    assert system.rest("GET", f"/api/servers/{hostname}/rescue", key).json()["state"] == "INACTIVE"
