"""Podman with images, networks and settings of its own, apart from everybody else's."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[engine]
tmp_dir = "{folder}/tmp"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""

_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts: while images are built, packages come from whom it trusts."""


class EngineError(Exception):
    """A container engine's command failed; the text is its own words."""


class Podman:
    """Podman and podman-compose on one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        containers, storage = folder / "containers.conf", folder / "storage.conf"
        containers.write_text(_CONTAINERS_CONF.format(folder=folder))
        storage.write_text(_STORAGE_CONF.format(folder=folder))
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(containers),
            "CONTAINERS_STORAGE_CONF": str(storage),
        }

    def run(self, *arguments: str, check: bool = True) -> str:
        """Runs podman. Answers what it printed. Raises EngineError."""
        return self._call(["podman", *arguments], self._folder, {}, check=check)

    def has_image(self, name: str) -> bool:
        """Whether there is an image of this name."""
        return bool(self.run("images", "--quiet", name))

    def build(self, context: Path, target: str, name: str, *options: str) -> None:
        """Builds a stage of a Dockerfile, with the network of this machine. Raises EngineError."""
        options = (*self._build_options(), *options)
        self.run("build", *options, f"--target={target}", f"--tag={name}", str(context))

    def healthy(self, container: str, seconds: float) -> None:
        """Waits until a container's health check passes. Raises EngineError.

        Here, since nothing else looks: Podman leaves that to systemd.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                self.run("healthcheck", "run", container)
            except EngineError:
                if time.monotonic() > end:
                    words = self.run("logs", "--tail=20", container, check=False)
                    raise EngineError(f"{container} did not become healthy: {words}") from None
                time.sleep(0.5)
            else:
                return

    def _build_options(self) -> list[str]:
        # Where packages come from is this machine's own business, and in no file of ours.
        settings = self._folder / "pip.conf"
        pip = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
        lines = ["[global]", f"cert = {AUTHORITIES}", *([f"index-url = {index}"] if index else [])]
        settings.write_text("\n".join(lines) + "\n")
        mounts = {AUTHORITIES: AUTHORITIES, settings: Path("/etc/pip.conf")}
        return [
            "--network=host",
            *(f"--volume={source}:{target}:ro" for source, target in mounts.items()),
        ]

    def _call(
        self, command: Sequence[str], folder: Path, settings: dict[str, str], *, check: bool
    ) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self._environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip())[-3000:]
            raise EngineError(f"{' '.join(command[:4])} …: {words}")
        return done.stdout.strip() if check else (done.stdout + done.stderr).strip()


class Project:
    """An installation's folder with its docker-compose.yml, run by podman-compose."""

    def __init__(self, podman: Podman, folder: Path, settings: dict[str, str]) -> None:
        """`settings` are what the file takes from the environment."""
        self._podman = podman
        self._folder = folder
        self._settings = settings
        self.name = folder.name

    def container(self, service: str, number: int = 1) -> str:
        """The name of one of a service's containers."""
        return f"{self.name}_{service}_{number}"

    def once(self, service: str, *command: str) -> str:
        """Runs a service's command to its end. Answers what it printed. Raises EngineError."""
        return self._compose("--profile=setup", "run", "--rm", "--no-deps", service, *command)

    def up(self, *services: str) -> None:
        """Starts services, with as many replicas as the file says. Raises EngineError."""
        self._compose("up", "--detach", "--no-deps", "--no-build", *services)

    def down(self) -> None:
        """Removes everything of it, volumes too."""
        self._compose("--profile=setup", "down", "--volumes", check=False)

    def _compose(self, *arguments: str, check: bool = True) -> str:
        program = shutil.which("podman-compose", path=str(Path(sys.executable).parent))
        command = [program or "podman-compose", "--project-name", self.name, *arguments]
        return self._podman._call(command, self._folder, self._settings, check=check)  # noqa: SLF001
