"""The process: it starts, says why when it cannot, and never outlives its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.process import EdgeError, EdgeProcess, binary
from edge.render import render
from lab import ca
from lab.ports import free_port
from tests.edge.conftest import DESCRIPTOR
from tests.edge.stand_ins import eventually


def config(folder: Path) -> Path:
    target = folder / "envoy.json"
    nowhere = ("127.0.0.1", 1)
    ca.make(folder / "tls")
    ca.make_services(folder / "services-tls")
    render(
        target,
        public=("127.0.0.1", free_port()),
        internal=("127.0.0.1", free_port()),
        provisioning=("127.0.0.1", free_port()),
        metrics=("127.0.0.1", free_port()),
        admin_port=free_port(),
        upstreams={"auth": nowhere, "server_ops": nowhere, "security": nowhere},
        descriptor=DESCRIPTOR,
        tls=folder / "tls",
        services_tls=folder / "services-tls" / "edge",
        images=folder,
        static=folder,
    )
    return target


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # dead, and waiting for whoever adopted it


def test_it_is_ready_inside_and_gone_after(tmp_path: Path) -> None:
    with EdgeProcess(config(tmp_path), log=tmp_path / "log", concurrency=1) as edge:
        pid = edge.pid
        assert edge.poll() is None
    assert gone(pid)


def test_it_says_why_it_does_not_start(tmp_path: Path) -> None:
    target = config(tmp_path)
    target.write_text(target.read_text().replace("failure_mode_allow", "failure_mode_alow"))
    edge = EdgeProcess(target, log=tmp_path / "log", concurrency=1)
    with pytest.raises(EdgeError, match="failure_mode_alow"):
        edge.start()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edge.process import EdgeProcess\n"
        "edge = EdgeProcess(Path(sys.argv[1]), log=Path(sys.argv[2]), concurrency=1)\n"
        "edge.start(); print(edge.pid, flush=True); edge.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(config(tmp_path)), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    eventually(lambda: gone(pid))


def test_the_binary_is_found_beside_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Path(binary()).parent == Path(sys.executable).parent
