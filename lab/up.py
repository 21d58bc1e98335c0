"""`make up`: the whole system in the foreground, until Ctrl-C.

With a simulated fleet, or with machines in QEMU (`make up LAB=1`).
"""

import argparse
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from f2h.server_ops.v1 import inventory_pb2

from edge.options import MCP_PATH, Options
from edge.process import EdgeError
from lab import demo, machines
from lab.ca import SERVICES
from lab.fail2ban_sim import Fail2banSim
from lab.node import HOST_SEEN, Node
from lab.ports import HOST, is_free
from lab.process import Process
from lab.stack import ROOT, Ports, Stack, StackError, write_private
from services.runtime.access import CATALOGUE

_BANNER = """
F2HCloud API is up. Ctrl-C stops it.

  REST and native gRPC   {url}/api
  Console                {url}/console  sign in as {email}, password {password}
  Reference, to try out  {url}/docs
  NOC side               {internal_url}
  Settings for scripts   {env}
  Logs                   {logs}

Reboot a server:

  curl -sS -X POST '{url}/api/servers/{hostname}/reboot' -H 'X-API-Key: {key}'
"""


def main() -> int:
    """Starts everything, prints how to use it, and waits."""
    options = _options()
    ports = Ports(**{name: getattr(options, name) for name in vars(Ports())})
    stack = Stack(
        run=options.run.absolute(),
        ports=ports,
        options=Options(mcp=options.mcp),
        machines_see=HOST_SEEN,
    )
    # SIGTERM ends everything as Ctrl-C does, which a shell may have switched off for us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as exits:
            servers, fleet, nodes = _hardware(exits, stack, options)
            exits.enter_context(stack)
            exits.enter_context(_pid_file(stack.run / "up.pid"))
            for server in servers:
                stack.register(server)
            stack.account(demo.ACCOUNT)
            stack.allow_certificate()
            _gateways(exits, stack)
            if fleet:
                stack.simulated_image("rescue", "IMAGE_KIND_RESCUE")
            else:
                machines.live(stack)
            password = _password(stack)
            key = _key(stack, servers)
            env = _write_env(stack, key, password)
            banner = _BANNER.format(
                url=stack.url,
                internal_url=stack.internal_url,
                env=env,
                logs=stack.logs,
                hostname=demo.HOSTNAME,
                key=key,
                email=demo.EMAIL,
                password=password,
            )
            if options.mcp:
                banner += f"\nAI agents: {stack.url}{MCP_PATH}, with the header X-API-Key.\n"
            for node, server in zip(nodes, servers, strict=False):
                banner += (
                    f"\n{server.hostname} is a machine in QEMU. SSH, once something runs on it:"
                    f"\n\n  ssh -p {node.ssh_port} root@{HOST}\n"
                )
            print(banner, flush=True)
            _wait(stack, [fleet] if fleet else [])
    except (StackError, EdgeError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _hardware(
    exits: ExitStack, stack: Stack, options: argparse.Namespace
) -> tuple[list[inventory_pb2.PutServerRequest], Process | None, list[Node]]:
    """The servers of the demonstration, and what they are: a process that simulates, or QEMU."""
    password = _bmc_password(stack.run)
    servers = demo.servers(password, options.bmc)
    if not options.nodes:
        url = f"http://{HOST}:{stack.ports.provisioning}"
        fleet = _start_fleet(stack.run, servers, url)
        exits.callback(fleet.stop)
        return servers, fleet, []
    made = exits.enter_context(
        machines.nodes(
            stack.run / "nodes",
            min(options.nodes, len(servers)),
            provisioning=stack.ports.provisioning,
            password=password,
        )
    )
    pairs = zip(made, servers, strict=False)
    return [machines.on(node, server) for node, server in pairs], None, made


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make up")
    for name, port in vars(Ports()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=port, metavar="PORT")
    parser.add_argument(
        "--bmc",
        type=int,
        default=demo.FIRST_BMC_PORT,
        metavar="PORT",
        help="UDP port of the first simulated BMC; the others follow",
    )
    parser.add_argument(
        "--nodes",
        type=int,
        default=0,
        metavar="N",
        help="so many machines in QEMU, 4 at most, in place of the simulated fleet",
    )
    parser.add_argument(
        "--mcp", action="store_true", help="AI agents may call at /mcp: see docs/mcp.md"
    )
    parser.add_argument("--run", type=Path, default=ROOT / ".run", metavar="FOLDER")
    return parser.parse_args()


@contextmanager
def _pid_file(path: Path) -> Iterator[None]:
    """Says to `make down` which process runs, while it runs."""
    path.write_text(str(os.getpid()))
    try:
        yield
    finally:
        path.unlink()


def _bmc_password(run: Path) -> str:
    path = run / "secrets" / "bmc.password"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        write_private(path, secrets.token_hex(8))
    return path.read_text()


def _gateways(exits: ExitStack, stack: Stack) -> None:
    """The gateways of the demonstration, whose fail2ban is simulated."""
    folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="f2h-")))
    for name, region, network in demo.GATEWAYS:
        # A folder of a short name: the path of a socket has at most 107 bytes.
        socket_path = folder / name
        exits.enter_context(Fail2banSim(socket_path, demo.jails(network), time.time))
        form = {"region": region, "networks": [network], "fail2ban_socket": str(socket_path)}
        answer = stack.noc("PUT", f"/api/noc/gateways/{name}", json=form)
        if not answer.is_success:
            raise StackError(f"no gateway could be made known: {answer.text}")


def _start_fleet(run: Path, servers: list[inventory_pb2.PutServerRequest], url: str) -> Process:
    for server in servers:
        if not is_free(server.bmc_port, socket.SOCK_DGRAM):
            raise StackError(
                f"UDP port {server.bmc_port} (BMC of {server.hostname}) is taken: "
                "choose others with --bmc, see `make help`"
            )
    config = run / "secrets" / "fleet.json"
    bmcs = [
        {
            "hostname": server.hostname,
            "mac": server.mac,
            "address": server.bmc_address,
            "port": server.bmc_port,
            "username": server.bmc_username,
            "password": server.bmc_password,
        }
        for server in servers
    ]
    write_private(config, json.dumps({"url": url, "bmcs": bmcs}))
    (run / "logs").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "lab.fleet", "--config", str(config)]
    return Process("fleet", command, run / "logs" / "fleet.log", {"PYTHONPATH": str(ROOT)})


def _key(stack: Stack, servers: list[inventory_pb2.PutServerRequest]) -> str:
    """A key that may do everything on every server of the demonstration, made once."""
    path = stack.secrets / "demo.key"
    if path.exists():
        key = path.read_text()
        url = f"{stack.url}/api/servers/{demo.HOSTNAME}"
        if httpx.get(url, headers={"X-API-Key": key}).is_success:
            return key
    answer = stack.noc(
        "POST",
        "/api/keys",
        json={
            "account": demo.ACCOUNT,
            "label": "make up",
            "servers": [server.hostname for server in servers],
            "capabilities": [*CATALOGUE],
        },
    )
    if not answer.is_success:
        raise StackError(f"no key could be made: {answer.text}")
    key = str(answer.json()["secret"])
    write_private(path, key)
    return key


def _password(stack: Stack) -> str:
    """The password of the demonstration's user, made once."""
    path = stack.secrets / "demo.password"
    if not path.exists():
        form = {"account": demo.ACCOUNT, "email": demo.EMAIL, "role": "OWNER"}
        answer = stack.noc("POST", "/api/noc/users", json=form)
        if not answer.is_success:
            raise StackError(f"no user could be made: {answer.text}")
        write_private(path, str(answer.json()["password"]))
    return path.read_text()


def _write_env(stack: Stack, key: str, password: str) -> Path:
    values = {
        "F2H_URL": stack.url,
        "F2H_API_KEY": key,
        "F2H_HOSTNAME": demo.HOSTNAME,
        "F2H_EMAIL": demo.EMAIL,
        "F2H_PASSWORD": password,
        "F2H_ACCOUNT": demo.ACCOUNT,
        "F2H_INTERNAL_URL": stack.internal_url,
        "F2H_NOC_KEY": stack.noc_key(),
        "F2H_CA": str(stack.tls / "ca.pem"),
        "F2H_CLIENT_CERT": str(stack.tls / "client.pem"),
        "F2H_CLIENT_KEY": str(stack.tls / "client.key"),
        "F2H_GRPC": f"{HOST}:{stack.ports.public}",
        "F2H_SERVICES_TLS": str(stack.services_tls),
        **{f"F2H_{service.upper()}": stack.address(service) for service in SERVICES},
    }
    path = stack.run / "demo.env"
    write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def _wait(stack: Stack, beside: list[Process]) -> None:
    """Returns never: ends by a signal, or by StackError when a part ended by itself."""
    while True:
        for process in [*stack.processes.values(), *beside]:
            if process.poll() is not None:
                raise StackError(f"{process.name} ended by itself: {process.last_words()}")
        if stack.edge is not None and stack.edge.poll() is not None:
            raise StackError(f"Envoy ended by itself, see {stack.logs / 'envoy.log'}")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
