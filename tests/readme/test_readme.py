"""The README's own commands, run as a reader runs them, against what `make up` starts."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import HOST, free_port
from lab.stack import ROOT, Ports
from tests.integration.conftest import eventually

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _python(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}


def _up(folder: Path, ports: Ports, bmc: int) -> "subprocess.Popen[str]":
    options = [f"--{name.replace('_', '-')}={port}" for name, port in vars(ports).items()]
    options += [f"--bmc={bmc}", f"--run={folder / '.run'}"]
    return _python(folder, "-m", "lab.up", *options)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ports]]:
    """A folder in which the whole system runs, as `make up` starts it."""
    folder = tmp_path_factory.mktemp("up")
    ports = Ports.free()
    process = _up(folder, ports, free_port(socket.SOCK_DGRAM))
    env = folder / ".run" / "demo.env"
    try:
        eventually(lambda: process.poll() is not None or env.exists(), 120)
        assert process.poll() is None, process.stdout and process.stdout.read()
        yield folder, ports
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    told = dict(line.split("=", 1) for line in env.read_text().splitlines())
    assert f"sign in as {told['F2H_EMAIL']}, password {told['F2H_PASSWORD']}\n" in output
    for port in vars(ports).values():
        socket.create_server((HOST, port)).close()  # Ctrl-C stopped everything


def test_the_readmes_commands_work_one_after_the_other(up: tuple[Path, Ports]) -> None:
    folder, _ = up
    commands = "".join(text for language, text in BLOCKS if language == "bash")
    assert "curl" in commands
    # A shell that stops at the first failure, and a curl that fails with the call.
    script = 'set -euo pipefail\ncurl() { command curl --fail-with-body "$@"; }\n'
    script += commands
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"' in done.stdout
    assert 'data: {"text":"","lost":false}' in done.stdout
    assert '"idle_seconds":' in done.stdout
    assert '"records":[{' in done.stdout
    assert '"users":[{' in done.stdout
    # The rescue that they asked for is entered: by a simulated machine that really calls home.
    state = "curl -sS $F2H_URL/api/servers/ns5010021.ip-198-51-100.us/rescue"
    look = f'source .run/demo.env\n{state} -H "X-API-Key: $F2H_API_KEY"'
    eventually(
        lambda: '"ACTIVE"' in subprocess.check_output(["bash", "-c", look], cwd=folder, text=True)
    )


def test_the_readmes_python_works(up: tuple[Path, Ports]) -> None:
    folder, _ = up
    [program] = [text for language, text in BLOCKS if language == "python"]
    source = next(text for language, text in BLOCKS if language == "bash")
    script = f"{source}exec {sys.executable} -c '{program}'"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ns3070587.ip-149-202-215.eu EU-WEST-F2H 149.202.215.3"


def test_a_second_up_is_told_which_port_is_taken(up: tuple[Path, Ports], tmp_path: Path) -> None:
    _, ports = up
    process = _up(tmp_path, ports, free_port(socket.SOCK_DGRAM))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"port {ports.public} (public) is taken" in output


def test_a_taken_port_of_a_bmc_is_told_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        process = _up(tmp_path, Ports.free(), port)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"UDP port {port} (BMC of ns3070587.ip-149-202-215.eu) is taken" in output


def test_make_lists_its_targets() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("up", "down", "test", "lint", "gen", "bench"):
        assert re.search(rf"^{target}\s", listed.stdout, re.MULTILINE)
        assert f"\n{target}:" in (ROOT / "Makefile").read_text()
