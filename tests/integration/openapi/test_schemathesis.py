"""The API keeps to its OpenAPI document: schemathesis finds nothing, whoever asks.

`make fuzz` does the same for longer, and from another seed each time.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.render import UNLIMITED
from lab.ipmi_sim import IpmiSim
from services.runtime.access import CATALOGUE
from tests.integration.conftest import System, running
from tools import gen

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "6")
SEED = os.environ.get("FUZZ_SEED", "1")

LITTLE = ["install.status"]
"""What a key may do that may do little."""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose limits nobody meets: 429 would be all that is seen."""
    limits = {"address_limit": UNLIMITED, "subject_limit": UNLIMITED}
    with running(tmp_path_factory.mktemp("tried"), limits=limits) as system:
        yield system


@pytest.fixture(scope="module")
def server(tried: System) -> str:
    bmc: IpmiSim = tried.bmc()
    return tried.server(bmc)


def found(system: System, server: str, key: str) -> str:
    """What schemathesis says in the end. It ends with 0 when it found nothing."""
    program = [sys.executable, "-m", "schemathesis.cli"]
    command = [
        *(*program, "--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(gen.GEN / "openapi.json"), "--url", f"{system.stack.url}/api"),
        *("--seed", SEED, "--max-examples", EXAMPLES, "--no-color"),
    ]
    environment = {
        "SCHEMATHESIS_HOOKS": "tests.integration.openapi.hooks",
        "F2H_HOSTNAME": server,
        "F2H_IP": address(system, server),
        "F2H_TRIED_KEY": key,
    }
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=system.folder,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    return done.stdout


def address(system: System, server: str) -> str:
    answer = system.noc("GET", "/api/noc/servers")
    [ip] = [each["ips"][0] for each in answer.json()["servers"] if each["hostname"] == server]
    return str(ip)


def told(capsys: pytest.CaptureFixture[str], who: str, output: str) -> None:
    """Prints the figures, which stand behind a promise."""
    tested = re.search(r"Tested: (\d+)", output)
    cases = re.search(r"(\d+) generated", output)
    assert tested is not None, output
    assert cases is not None, output
    assert int(tested[1]) > 40
    with capsys.disabled():
        print(f"\n  {who}: {tested[1]} operations, {cases[1]} cases, nothing found")


@pytest.mark.parametrize(
    ("who", "capabilities"), [("a key for everything", [*CATALOGUE]), ("a key for little", LITTLE)]
)
def test_a_key_finds_nothing(
    tried: System,
    server: str,
    who: str,
    capabilities: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = tried.key(server, capabilities=capabilities)
    told(capsys, who, found(tried, server, key.secret))
