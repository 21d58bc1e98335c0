"""Network namespaces of Linux, joined by cables: machines that share nothing but their kernel."""

import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

_NUMBERS = itertools.count()
_PREFIX = re.compile(r"f2h(\d+)x\d+")


class Namespaces:
    """Namespaces and what joins them; as a context manager. Needs root. All go at the end.

    What a killed process has left goes too: its addresses, in our own, would be in the way.
    """

    def __init__(self) -> None:
        _sweep()
        self._prefix = f"f2h{os.getpid()}x{next(_NUMBERS)}"
        self._exits = ExitStack()
        self._cables = itertools.count()

    def add(self, name: str) -> str:
        """A new namespace, with loopback; its name as `ip netns` knows it."""
        namespace = f"{self._prefix}{name}"
        _run("ip", "netns", "add", namespace)
        self._exits.callback(_run, "ip", "netns", "delete", namespace)
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def cable(
        self, one: str, other: str, *networks: tuple[str, str], names: tuple[str, str]
    ) -> None:
        """Joins two namespaces, "" being ours, with an interface of these names at each end.

        Each of the `networks` is an address with prefix for either end. The end in our own keeps
        another name, so that nothing of ours is in the way; it goes with the other one.
        """
        ends = [f"{_cable(self._prefix)}{next(self._cables)}" for _ in names]
        _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for number, namespace in enumerate((one, other)):
            interface = ends[number]
            where: tuple[str, ...] = ()
            if namespace:
                _run("ip", "link", "set", interface, "netns", namespace)
                where = ("-n", namespace)
                _run("ip", *where, "link", "set", interface, "name", names[number])
                interface = names[number]
            for network in networks:
                _run("ip", *where, "address", "add", network[number], "dev", interface, "nodad")
            _run("ip", *where, "link", "set", interface, "up")

    def run(self, namespace: str, *command: str) -> str:
        """What a command in a namespace prints."""
        return _run(*inside(namespace, command))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()


def inside(namespace: str, command: Sequence[str]) -> tuple[str, ...]:
    """A command that runs in a namespace."""
    return ("ip", "netns", "exec", namespace, *command)


def _cable(prefix: str) -> str:
    """What the names of cables' ends in our own namespace begin with; Linux takes 15 characters."""
    return prefix[-10:]


def _sweep() -> None:
    """Removes what was made by processes that are gone. Another process may be doing the same."""
    names = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True)
    found = {each: match for each in names.stdout.split() if (match := _PREFIX.match(each))}
    for namespace, match in found.items():
        if Path(f"/proc/{match[1]}").exists():
            continue
        for end in Path("/sys/class/net").glob(f"{_cable(match[0])}*"):
            subprocess.run(("ip", "link", "delete", end.name), capture_output=True, check=False)
        subprocess.run(("ip", "netns", "delete", namespace), capture_output=True, check=False)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
