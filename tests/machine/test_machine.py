"""From a scoped key to a machine that really boots, and back."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.node import Node
from tests.integration.conftest import Key, System, eventually

SECONDS = 240.0
CAPABILITIES = (
    *("server.details", "server.reboot", "rescue.enter", "rescue.exit"),
    *("install.start", "install.status"),
)


def ended(system: System, hostname: str, key: Key, path: str, **form: Any) -> dict[str, Any]:
    """The operation that was asked for, when it has ended well."""
    answer = system.rest("POST", f"/api/servers/{hostname}{path}", key, json=form)
    assert answer.status_code == 200, answer.text
    operation = system.finished(answer.json()["name"], key, SECONDS)
    assert "response" in operation, operation
    response: dict[str, Any] = operation["response"]
    return response


def told(system: System, hostname: str, key: Key, path: str) -> dict[str, Any]:
    """What a GET is answered."""
    answer: dict[str, Any] = system.rest("GET", f"/api/servers/{hostname}{path}", key).json()
    return answer


def ssh(node: Node, folder: Path, host_key: str, command: str, password: str = "") -> str:
    """What a command says on the node, whose host key must be this one; empty: any.

    One logs in with the key of `identity`, or with a password.
    """
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{node.ssh_port} {host_key}\n" if host_key else "")
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho '{password}'\n")
    ask.chmod(0o700)
    options = {
        "UserKnownHostsFile": known,
        "StrictHostKeyChecking": "yes" if host_key else "no",
        "ConnectTimeout": "20",
        "NumberOfPasswordPrompts": "1",
        "PreferredAuthentications": "password" if password else "publickey",
        "IdentityFile": folder / "id",
        "IdentitiesOnly": "yes",
    }
    done = subprocess.run(
        [
            *("ssh", "-F", "none", "-p", str(node.ssh_port)),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            *("root@127.0.0.1", command),
        ],
        env={**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def identity(tmp_path: Path) -> str:
    """The public part of a key that `ssh` logs in with."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")], check=True
    )
    return (tmp_path / "id.pub").read_text().strip()


def test_a_machine_is_rescued_and_installed_and_rebooted(
    system: System, tmp_path: Path, identity: str
) -> None:
    node = system.machine()
    hostname = system.server(node.bmc, mac=node.mac)
    key = system.key(hostname, capabilities=CAPABILITIES)

    entered = ended(system, hostname, key, "/rescue/enter")
    rescue = told(system, hostname, key, "/rescue")
    assert rescue["state"] == "ACTIVE"
    assert rescue["ssh_host_key_fingerprints"] == entered["ssh_host_key_fingerprints"]
    [host_key] = rescue["ssh_host_keys"]
    answer = system.rest("POST", f"/api/servers/{hostname}/rescue/password", key)
    password = answer.json()["password"]
    seen = ssh(node, tmp_path, host_key, "hostname; uname -s", password)
    assert seen.split() == [hostname, "Linux"]
    first = node.pid()

    left = ended(system, hostname, key, "/rescue/exit")
    # Its disk is empty: it asked the network again, and was sent to its disk again.
    assert left["proof"] == "BOOT_SCRIPT"
    assert node.pid() not in {first, None}
    assert told(system, hostname, key, "/rescue")["state"] == "INACTIVE"

    form = {"template": "tiny", "confirm_hostname": hostname, "os_hostname": "web-1"}
    installed = ended(system, hostname, key, "/install", ssh_keys=[identity], **form)
    assert installed["proof"] == "FIRST_BOOT"
    status = told(system, hostname, key, "/install/status")
    assert (status["state"], status["percent"]) == ("SUCCEEDED", 100)
    assert {step["state"] for step in status["steps"]} == {"DONE"}
    assert any("tiny/disk.raw.gz to /dev/vda" in line for line in status["log"])
    assert told(system, hostname, key, "")["netboot"]["boot_type"] == "HARDDISK"
    ssh(node, tmp_path, "", "test $(hostname) = web-1 && touch /run/before")

    rebooted = ended(system, hostname, key, "/reboot")
    assert rebooted["proof"] != "PROOF_UNSPECIFIED"
    eventually(lambda: "runs as web-1" in node.said(), SECONDS)
    ssh(node, tmp_path, "", "test $(hostname) = web-1 && test ! -e /run/before")
