"""Builds the images of docker-compose.yml, brings it up with Podman, and uses it.

A reboot as in the README, from an account's first key on; then each replica in turn is killed while
callers read. Needs root, and takes some minutes; see `make help`.
"""

import argparse
import ipaddress
import json
import os
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict

from lab import demo
from lab.ca import SERVICES
from lab.containers.engine import EngineError, Podman
from lab.containers.installation import Installation
from lab.containers.reads import Reads
from lab.ports import HOST, free_port
from lab.process import Process
from lab.stack import ROOT

REBOOT_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
"""How long is tried again: after a start or a kill Podman's resolver is silent for some seconds."""
AFTER_A_KILL_SECONDS = 8.0
"""For how long callers go on reading."""

_STATISTICS = r"""
exec 3<>/dev/tcp/127.0.0.1/9901
printf 'GET /clusters?format=json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
cat <&3
"""
"""What the edge counts: its image has no curl."""


class Failed(Exception):  # noqa: N818 - it says what happened
    """The installation does not do what it should."""


class Trial:
    """An installation in use."""

    def __init__(self, podman: Podman, installation: Installation, ports: tuple[int, int]) -> None:
        """`ports` are those of the public and the provisioning listener."""
        self._podman = podman
        self._installation = installation
        self._url = f"http://{HOST}:{ports[0]}"
        self._provisioning = f"http://{HOST}:{ports[1]}"
        self._headers: dict[str, str] = {}

    def begin(self) -> None:
        """An account with a key and servers, as the NOC makes them."""
        auth = self._installation.containers("auth")[0]
        command = ("python", "-m", "services.auth", "create-noc-key", "--label=trial")
        key = self._podman.run("exec", auth, *command)
        address = self._address("envoy", "internal")
        trust = ssl.create_default_context(cafile=self._installation.folder / "tls" / "ca.pem")
        with httpx.Client(
            base_url=f"https://{address}:8001", verify=trust, headers={"X-API-Key": key}, timeout=20
        ) as noc:

            def call(verb: str, path: str, body: dict[str, Any]) -> Any:
                # By the name that NOC services on the network `internal` use.
                names = {"sni_hostname": "envoy"}
                answer = _patiently(lambda: noc.request(verb, path, json=body, extensions=names))
                if not answer.is_success:
                    raise Failed(f"{verb} {path}: {answer.text}")
                return answer.json()

            call("POST", "/api/noc/accounts", {"id": demo.ACCOUNT, "kind": "CUSTOMER"})
            for server in self._servers:
                form = MessageToDict(server, preserving_proto_field_name=True)
                call("PUT", f"/api/noc/servers/{server.hostname}", form)
            made = call(
                "POST",
                "/api/keys",
                {
                    "account": demo.ACCOUNT,
                    "label": "trial",
                    "servers": [server.hostname for server in self._servers],
                    "capabilities": ["server.details", "server.reboot", "antispam.status"],
                },
            )
        self._headers = {"X-API-Key": made["secret"]}

    @contextmanager
    def fleet(self) -> Iterator[None]:
        """Simulated BMCs, on the address that this machine has on the network `management`."""
        [network] = json.loads(self._podman.run("network", "inspect", self._network("management")))
        gateway = network["subnets"][0]["gateway"]
        self._servers = demo.servers("secret")
        for server in self._servers:
            server.bmc_address = gateway
        bmcs = [
            {
                "hostname": server.hostname,
                "mac": server.mac,
                "address": server.bmc_address,
                "port": server.bmc_port,
                "username": server.bmc_username,
                "password": server.bmc_password,
            }
            for server in self._servers
        ]
        with tempfile.TemporaryDirectory(prefix="f2h-fleet-") as folder:
            config = Path(folder) / "fleet.json"
            config.write_text(json.dumps({"url": self._provisioning, "bmcs": bmcs}))
            command = [sys.executable, "-m", "lab.fleet", "--config", str(config)]
            log = Path(folder) / "log"
            process = Process("fleet", command, log, {"PYTHONPATH": str(ROOT)})
            try:
                yield
            finally:
                process.stop()

    def reboot(self, number: int) -> float:
        """Reboots a server and waits for its end. Answers how many seconds it took."""
        begin = time.monotonic()
        with httpx.Client(headers=self._headers, timeout=20) as client:
            url = f"{self._url}/api/servers/{self._servers[number].hostname}/reboot"
            once = {"Idempotency-Key": f"trial-{number}"}
            answer = _patiently(lambda: client.post(url, headers=once))
            if not answer.is_success:
                raise Failed(f"reboot: {answer.text}")
            name = answer.json()["name"]
            while time.monotonic() < begin + REBOOT_SECONDS:
                operation = client.get(f"{self._url}/api/{name}").json()
                if operation.get("done"):
                    if operation.get("error"):
                        raise Failed(f"reboot: {operation}")
                    return time.monotonic() - begin
                time.sleep(0.2)
        raise Failed(f"the reboot did not end: {operation}")

    def shares(self) -> dict[str, list[int]]:
        """How many calls Envoy sent to each replica of each service."""
        envoy = self._installation.project.container("envoy")
        text = self._podman.run("exec", envoy, "bash", "-c", _STATISTICS)
        body = text[text.index("{") : text.rindex("}") + 1]
        statuses = json.loads("".join(_chunks(body)))["cluster_statuses"]
        return {
            cluster["name"]: [
                int(stat.get("value", 0))
                for host in cluster.get("host_statuses", [])
                for stat in host["stats"]
                if stat["name"] == "rq_total"
            ]
            for cluster in statuses
            if cluster["name"] in SERVICES
        }

    def kill_each(self) -> int:
        """Kills one process after the other while callers read. Answers how many reads failed."""
        failed = 0
        for service in SERVICES:
            for container in self._installation.containers(service):
                with self._reading() as reads:
                    time.sleep(1.0)
                    os.kill(self._pid(container), signal.SIGKILL)
                    time.sleep(AFTER_A_KILL_SECONDS)
                failed += reads.failed
                print(
                    f"  {container} killed: {reads.answers.total()} reads, {reads.failed} failed, "
                    f"the longest took {reads.longest_seconds:.2f} s"
                )
                for how, number in reads.answers.items():
                    if how != "200":
                        print(f"    {number} × {how}")
                self._podman.healthy(container, REBOOT_SECONDS)
        return failed

    def exposed(self) -> list[str]:
        """Where a secret is to be seen by who may not read it: settings and process lists."""
        found = []
        secrets = {
            file.name: file.read_text().strip()
            for file in (self._installation.folder / "secrets").iterdir()
            if "public" not in file.name and file.stat().st_size
        }
        for service in (*SERVICES, "postgres", "envoy"):
            for container in self._installation.containers(service):
                seen = self._podman.run("inspect", container)
                seen += self._podman.run("top", container, "args")
                seen += self._podman.run("exec", container, "cat", "/proc/self/environ")
                seen += self._podman.run("logs", container, check=False)
                found += [f"{container}: {name}" for name, text in secrets.items() if text in seen]
        return found

    def _reading(self) -> Reads:
        server = f"{self._url}/api/servers/{demo.HOSTNAME}"
        return Reads([server, f"{server}/antispam"], self._headers)

    def _pid(self, container: str) -> int:
        """The process of a service, not that which reaps its orphans."""
        first = int(self._podman.run("inspect", "--format={{.State.Pid}}", container))
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return int(children[0])

    def _address(self, service: str, network: str) -> str:
        container = self._installation.project.container(service)
        [inspected] = json.loads(self._podman.run("inspect", container))
        networks = inspected["NetworkSettings"]["Networks"]
        return str(ipaddress.ip_address(networks[self._network(network)]["IPAddress"]))

    def _network(self, name: str) -> str:
        return f"{self._installation.project.name}_{name}"


def _patiently(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Makes a call that may be repeated, again as long as the answer is that it should be."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = call()
        again = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        if not again or time.monotonic() > end:
            return answer
        print(f"  again, since {answer.json()['message']}", flush=True)
        time.sleep(1.0)


def _chunks(text: str) -> list[str]:
    """The lines of a chunked body (RFC 9112 section 7.1) that are no sizes of chunks."""
    return [line for line in text.splitlines() if not _is_size(line)]


def _is_size(line: str) -> bool:
    try:
        int(line, 16)
    except ValueError:
        return not line
    return True


def main() -> int:
    """Does all of it, prints what was seen, and takes it down again."""
    parser = argparse.ArgumentParser(prog="python -m lab.containers")
    parser.add_argument("--keep", action="store_true", help="leave it running")
    keep = parser.parse_args().keep
    folder = ROOT / ".run" / "containers"
    podman = Podman(folder)
    ports = free_port(), free_port()
    settings = {"F2H_PUBLIC_PORT": str(ports[0]), "F2H_PROVISIONING_PORT": str(ports[1])}
    installation = Installation(podman, folder / "f2h", settings)
    try:
        _say("images", installation.build)
        _say("setup", installation.set_up)
        _say("start", installation.start)
        trial = Trial(podman, installation, ports)
        with trial.fleet():
            trial.begin()
            print(f"reboot: {trial.reboot(0):.1f} s")
            failed = trial.kill_each()
            print(f"reboot: {trial.reboot(1):.1f} s")
            shares, exposed = trial.shares(), trial.exposed()
    except (EngineError, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if not keep:
            installation.project.down()
    print(f"calls to each replica: {shares}")
    print(f"secrets seen where they should not be: {exposed or 'none'}")
    print(f"reads that failed: {failed}")
    right = all(len(each) > 1 and all(each) for each in shares.values())
    return 0 if right and not exposed and not failed else 1


def _say(what: str, do: Any) -> None:
    begin = time.monotonic()
    print(f"{what} …", flush=True)
    do()
    print(f"{what}: {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
