"""A fleet of simulated BMCs in one process: `python -m lab.fleet --config FILE`.

FILE is {"url", "bmcs": [{"hostname", "mac", "address", "port", "username", "password"}, …]}; `url`
is where machines that boot from the network find their scripts. A line on standard
output says when all of them listen. Each chassis command that is executed is a JSON line on
standard error, {"hostname", "executed"}; one that is refused is not.
"""

import argparse
import ctypes
import json
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from pyghmi.ipmi.private.session import Session

from lab.bmc import SimulatedBmc
from lab.booting import NetworkBoot
from lab.machine import Machine

LOOK_SECONDS = 0.5
"""How late a machine may be with what it does by itself."""

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Serves until it is told to stop, or until who started it is gone."""
    parser = argparse.ArgumentParser(prog="python -m lab.fleet")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--boot-seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    config = json.loads(arguments.config.read_text())
    bmcs = [
        SimulatedBmc(
            _machine(config["url"], entry["mac"], arguments.boot_seconds),
            address=entry["address"],
            port=entry["port"],
            username=entry["username"],
            password=entry["password"],
            executed=partial(_log, entry["hostname"]),
        )
        for entry in config["bmcs"]
    ]
    print(f"{len(bmcs)} BMCs listen", flush=True)
    while True:
        Session.wait_for_rsp(LOOK_SECONDS)
        # What a machine does by itself it does although nobody asks its BMC.
        for bmc in bmcs:
            bmc.machine.advance()


def _machine(url: str, mac: str, boot_seconds: float) -> Machine:
    """A machine that boots what the provisioning listener says, when it is to boot from there."""
    machine = Machine(time.time, boot_seconds=boot_seconds)
    gone = threading.Event()

    def starts(network: bool) -> None:
        nonlocal gone
        gone = threading.Event()
        if network:
            threading.Thread(target=_boot, args=(url, mac, gone), daemon=True).start()

    def stops() -> None:
        gone.set()

    machine.starts, machine.stops = starts, stops
    return machine


def _boot(url: str, mac: str, stop: threading.Event) -> None:
    try:
        NetworkBoot(url, mac).run(stop)
    except OSError as error:
        print(json.dumps({"mac": mac, "boot": str(error)}), file=sys.stderr, flush=True)


def _log(hostname: str, command: str) -> None:
    print(json.dumps({"hostname": hostname, "executed": command}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
