"""Peppers and signing keys are replaced while everything runs, restarted in either order."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from lab.stack import Stack
from services.auth import rotation
from tests.integration.conftest import IN_THE_CLEAR, Key, System, eventually

SECONDS = 20
"""Until a new secret is used, longer than services restart; an operator takes an hour."""


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def command(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.auth", *arguments],
        env=stack.environment("auth"),
        capture_output=True,
        text=True,
        check=False,
    )


def numbers(secrets: Path, name: str) -> list[str]:
    return sorted(json.loads((secrets / name).read_text()))


def restart(system: System, *services: str) -> None:
    for service in services:
        system.stack.processes[service].stop()
        system.stack.start_service(service)


def reads(system: System, server: str, key: Key) -> bool:
    return system.rest("GET", f"/api/servers/{server}", key).status_code == 200


def token(system: System, key: Key) -> str:
    answer = system.rest("POST", "/api/auth/token", key, json={})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def reads_with_token(system: System, server: str, text: str) -> bool:
    url = f"{system.stack.url}/api/servers/{server}"
    bearer = {"Authorization": f"Bearer {text}"}
    return httpx.get(url, headers=bearer, verify=IN_THE_CLEAR, timeout=20).status_code == 200


def signed_by(text: str) -> str:
    """The number of the key that signed a token."""
    return str(json.loads(base64.urlsafe_b64decode(text.partition(".")[0] + "=="))["kid"])


@pytest.mark.parametrize(
    "order", [("auth", "server_ops", "security"), ("security", "server_ops", "auth")]
)
def test_secrets_are_replaced_without_a_gap(system: System, order: tuple[str, ...]) -> None:
    stack, secrets = system.stack, system.stack.secrets
    server = system.server(system.bmc())
    used, unused = system.key(server), system.key(server)
    before = token(system, used)
    eventually(lambda: reads_with_token(system, server, before))
    minutes = str(SECONDS / 60)
    pepper = command(stack, "rotate-pepper", str(secrets), "--minutes", minutes).stdout.strip()
    done = command(stack, "rotate-signing-key", str(secrets), "--minutes", minutes)
    signing = done.stdout.strip()
    assert numbers(secrets, rotation.PEPPERS)[-1] == pepper
    for service in order:
        restart(system, service)
        # In between, some know the new ones and some do not: nobody uses them yet.
        eventually(lambda: reads(system, server, used))
    assert command(stack, "retire-signing-key", str(secrets), signing).returncode == 1

    fresh = before
    while signed_by(fresh) != signing:
        time.sleep(0.5)  # a key is exchanged for a token once a second at most
        fresh = token(system, used)
    # The edge fetches the keys of tokens every half a minute.
    eventually(lambda: reads_with_token(system, server, fresh), 45)
    assert reads_with_token(system, server, before)
    assert reads(system, server, used), "and moves to the new pepper"

    old = str(int(pepper) - 1)
    refused = command(stack, "retire-pepper", str(secrets), old)
    assert refused.returncode == 1
    assert "active keys" in refused.stderr
    assert reads(system, server, unused), "so it is used, too"
    assert stack.noc("GET", "/api/noc/servers").status_code == 200
    eventually(lambda: command(stack, "retire-pepper", str(secrets), old).returncode == 0)
    restart(system, "auth")
    for key in (used, unused):
        eventually(lambda: reads(system, server, key))  # noqa: B023 - asked before the next one
        stack.noc("DELETE", f"/api/keys/{key.id}")
