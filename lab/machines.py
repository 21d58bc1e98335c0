"""Machines in QEMU for a running `make up`: `python -m lab.machines --nodes N` (`make lab`).

They are registered as lab1.example.net and so on, for the account of the demonstration, with a key
of their own, and gone when this ends.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from f2h.server_ops.v1 import inventory_pb2

from lab import demo
from lab.live.build import BuildError, build
from lab.live.register import register
from lab.node import HOST_SEEN, Node
from lab.ports import HOST
from lab.stack import ROOT, Ports, Stack, StackError
from services.runtime.access import CATALOGUE

_BANNER = """
{hostname}
  reboot, rescue or install it with the key  {key}
  the template "{template}" installs it; SSH, once it runs:  ssh -p {ssh_port} root@{host}
"""


@contextmanager
def nodes(folder: Path, count: int, *, provisioning: int, password: str) -> Iterator[list[Node]]:
    """So many machines, off, with their BMCs; gone after.

    `provisioning` is the port of the listener that they boot from, `password` that of their BMCs.
    """
    with ExitStack() as exits:
        yield [
            exits.enter_context(
                Node(
                    folder / f"node{number}",
                    bootfile=f"http://{HOST_SEEN}:{provisioning}/boot.ipxe",
                    mac=f"0c:c4:7a:0f:00:{number:02x}",
                    uuid=f"f2f2f2f2-0000-4000-8000-{number:012x}",
                    password=password,
                )
            )
            for number in range(1, count + 1)
        ]


def on(node: Node, server: inventory_pb2.PutServerRequest) -> inventory_pb2.PutServerRequest:
    """The server, being this machine."""
    made = inventory_pb2.PutServerRequest()
    made.CopyFrom(server)
    made.mac, made.uuid = node.mac, node.uuid
    made.bmc_address, made.bmc_port = HOST, node.bmc.port
    made.bmc_username, made.bmc_password = node.bmc.username, node.bmc.password
    return made


def live(stack: Stack) -> None:
    """Builds the lab's systems, once, and makes them known to a stack. Raises StackError."""
    built = stack.run / "live"
    if not (built / "disk.raw.gz").exists():
        try:
            build(built)
        except BuildError as error:
            raise StackError(str(error)) from None
    register(stack, built)


def main() -> int:
    """Starts the machines, says how to use them, and waits."""
    parser = argparse.ArgumentParser(prog="make lab")
    parser.add_argument("--nodes", type=int, default=1, metavar="N")
    parser.add_argument("--run", type=Path, default=ROOT / ".run", metavar="FOLDER")
    for name, port in vars(Ports()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=port, metavar="PORT")
    options = parser.parse_args()
    ports = Ports(**{name: getattr(options, name) for name in vars(Ports())})
    stack = Stack(run=options.run.absolute(), ports=ports)
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    if not (stack.run / "up.pid").exists():
        print("make lab: nothing runs here: start it with make up", file=sys.stderr)
        return 1
    password = (stack.secrets / "bmc.password").read_text()
    folder = stack.run / "nodes"
    try:
        live(stack)
        with nodes(
            folder, options.nodes, provisioning=ports.provisioning, password=password
        ) as machines:
            for number, node in enumerate(machines, start=1):
                _introduce(stack, node, number)
            signal.pause()
    except StackError as error:
        print(f"make lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _introduce(stack: Stack, node: Node, number: int) -> None:
    """Registers a machine, and says how to use it."""
    hostname = f"lab{number}.example.net"
    server = inventory_pb2.PutServerRequest(
        hostname=hostname,
        account=demo.ACCOUNT,
        ips=[f"192.0.2.{number}"],
        datacenter="LAB",
    )
    stack.register(on(node, server))
    form = {
        "account": demo.ACCOUNT,
        "label": f"make lab, {hostname}",
        "servers": [hostname],
        "capabilities": [*CATALOGUE],
    }
    answer = stack.noc("POST", "/api/keys", json=form)
    if not answer.is_success:
        raise StackError(f"no key could be made: {answer.text}")
    banner = _BANNER.format(
        hostname=hostname,
        key=answer.json()["secret"],
        template="tiny",
        ssh_port=node.ssh_port,
        host=HOST,
    )
    print(banner, flush=True)


if __name__ == "__main__":
    sys.exit(main())
