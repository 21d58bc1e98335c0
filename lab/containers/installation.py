"""An installation as an operator makes it, from the checkout that this is."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.ca import SERVICES
from lab.containers import bases
from lab.containers.engine import Podman, Project
from lab.stack import ROOT

HEALTHY_SECONDS = 90.0

_ONE_QUESTION_AT_A_TIME = {"GRPC_DNS_RESOLVER": "native", "RES_OPTIONS": "single-request"}
"""Of two questions that leave a container at the same moment, for A and AAAA, a network with a way
out may lose one to its address translation, and the resolver then waits for seconds. Podman's
resolver is beyond that translation; Docker's is in the container."""


class Installation:
    """docker-compose.yml in a folder of its own: its images built, its parts started in order.

    The order is that of `depends_on`. Podman does not keep to it where systemd is missing, which
    it leaves health checks to.
    """

    def __init__(self, podman: Podman, folder: Path, settings: dict[str, str]) -> None:
        """Copies the checkout to `folder`, which is emptied. `settings` are the operator's."""
        self._podman = podman
        self.folder = folder
        self.project = Project(podman, folder, settings)
        if folder.exists():
            self.project.down()
            shutil.rmtree(folder)
        for file in _checkout():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)
        # Docker makes the folders of bind mounts; Podman wants them to be there.
        for name in ("secrets", "tls", "services-tls", "images"):
            (folder / name).mkdir()
        compose = yaml.safe_load((folder / "docker-compose.yml").read_text())
        self.services: Mapping[str, Any] = compose["services"]
        override = {name: {"environment": _ONE_QUESTION_AT_A_TIME} for name in SERVICES}
        text = yaml.safe_dump({"services": override})
        (folder / "docker-compose.override.yml").write_text(text)

    def build(self) -> None:
        """Builds every image, and the official ones' stand-ins before. Raises EngineError."""
        dockerfile = (self.folder / "Dockerfile").read_text()
        [envoy] = [
            line.split()[1] for line in dockerfile.splitlines() if "FROM envoyproxy/" in line
        ]
        bases.make(self._podman, envoy, self.services["postgres"]["image"])
        for name, target in {
            (definition["image"].replace("${F2H_VERSION:-", "").rstrip("}"), build["target"])
            for definition in self.services.values()
            if (build := definition.get("build"))
        }:
            self._podman.build(self.folder, target, name)

    def set_up(self) -> None:
        """Does what `run setup` does with Docker. Raises EngineError."""
        for service in self._order("setup"):
            print(f"  {service}", self.project.once(service), flush=True)

    def start(self) -> None:
        """Starts everything, and waits until it is healthy. Raises EngineError."""
        for service in self._order("envoy"):
            if self.services[service]["restart"] == "no":
                self.project.once(service)
                continue
            self.project.up(service)
            for container in self.containers(service):
                self._podman.healthy(container, HEALTHY_SECONDS)

    def containers(self, service: str) -> list[str]:
        """The names of a service's containers, one a replica."""
        replicas = self.services[service].get("deploy", {}).get("replicas", 1)
        return [self.project.container(service, number + 1) for number in range(replicas)]

    def _order(self, last: str) -> list[str]:
        """A service and what it depends on, that first."""
        found: dict[str, None] = {}
        for needed in self.services[last].get("depends_on", {}):
            found.update(dict.fromkeys(self._order(needed)))
        return [*found, last]


def _checkout() -> Iterator[str]:
    """The files of this checkout that are not ignored, new ones too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return (name for name in names.splitlines() if (ROOT / name).exists())
