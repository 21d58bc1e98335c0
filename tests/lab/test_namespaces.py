"""What is left of namespaces, and what is not."""

import subprocess
import sys
from pathlib import Path

from lab.namespaces import Namespaces

LEFT = """
import os, signal
from lab.namespaces import Namespaces
left = Namespaces()
there = left.add("a")
left.cable("", there, ("192.0.2.161/30", "192.0.2.162/30"), names=("out", "in"))
print(there, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def known() -> set[str]:
    return {*subprocess.check_output(("ip", "netns", "list"), text=True).split()}


def addresses() -> str:
    return subprocess.check_output(("ip", "-4", "-brief", "address"), text=True)


def test_what_a_killed_process_left_goes_with_the_next_one_that_needs_some() -> None:
    killed = subprocess.run(
        (sys.executable, "-c", LEFT), capture_output=True, text=True, check=False
    )
    left = killed.stdout.strip()
    assert left in known(), killed.stderr
    assert "192.0.2.161/30" in addresses()
    with Namespaces() as fresh:
        assert left not in known()
        assert "192.0.2.161/30" not in addresses()
        mine = fresh.add("a")
        # Of one that lives nothing goes.
        with Namespaces():
            assert mine in known()
    assert mine not in known()
    assert not Path(f"/run/netns/{mine}").exists()
