"""The API keeps to its OpenAPI document: schemathesis finds nothing, whoever asks.

`make fuzz` does the same for longer, and from another seed each time.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.render import UNLIMITED
from lab.ipmi_sim import IpmiSim
from services.runtime.access import CATALOGUE
from tests.integration.conftest import Key, System, running
from tests.integration.people import signed_in
from tools import gen

HERE = Path(__file__).parent
DOCUMENT = gen.GEN / "openapi.json"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "4")
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


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    headers: Mapping[str, str]
    """What they show."""
    key: Key
    """A key of their account."""
    leaving: Sequence[Mapping[str, str]] = ()
    """What people show who may be signed out."""
    tags: frozenset[str] = frozenset()
    """Which operations are tried; empty: all."""


def found(system: System, server: str, caller: Caller) -> str:
    """What schemathesis says in the end. It ends with 0 when it found nothing."""
    program = [sys.executable, "-m", "schemathesis.cli"]
    command = [
        *(*program, "--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(document(system)), "--url", f"{system.stack.url}/api"),
        *("--seed", SEED, "--max-examples", EXAMPLES, "--no-color"),
        *(f"--include-tag={tag}" for tag in sorted(caller.tags)),
    ]
    environment = {
        "SCHEMATHESIS_HOOKS": "tests.integration.openapi.hooks",
        "F2H_HOSTNAME": server,
        "F2H_IP": address(system, server),
        "F2H_KEY_ID": caller.key.id,
        "F2H_CALLER": json.dumps(caller.headers),
        "F2H_LEAVING": json.dumps(caller.leaving),
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


def document(system: System) -> Path:
    """The document, with the name that the session's cookie has without TLS."""
    made = system.folder / "openapi.json"
    made.write_text(DOCUMENT.read_text().replace('"__Host-f2h_session"', '"f2h_session"'))
    return made


def not_for_keys() -> frozenset[str]:
    """The tags of operations that no key may call."""
    paths = json.loads(DOCUMENT.read_text())["paths"].values()
    operations = [operation for path in paths for operation in path.values()]
    return frozenset(
        operation["tags"][0]
        for operation in operations
        if "ApiKey" not in {name for way in operation["security"] for name in way}
    )


def address(system: System, server: str) -> str:
    answer = system.noc("GET", "/api/noc/servers")
    [ip] = [each["ips"][0] for each in answer.json()["servers"] if each["hostname"] == server]
    return str(ip)


def told(capsys: pytest.CaptureFixture[str], who: str, output: str, at_least: int) -> None:
    """Prints the figures, which stand behind a promise."""
    tested = re.search(r"Tested: (\d+)", output)
    cases = re.search(r"(\d+) generated", output)
    assert tested is not None, output
    assert cases is not None, output
    assert int(tested[1]) >= at_least
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
    told(capsys, who, found(tried, server, Caller(key.headers, key)), at_least=60)


def test_a_person_finds_nothing(
    tried: System, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In what no key may do; the rest is the same for both."""
    with ExitStack() as stack:
        browsers = [stack.enter_context(signed_in(tried, "OWNER")) for _ in range(4)]
        headers, *leaving = [browser.headers for browser in browsers]
        caller = Caller(headers, tried.key(server), leaving, not_for_keys())
        told(capsys, "a person", found(tried, server, caller), at_least=25)
