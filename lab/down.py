"""`make down`: stops a running `make up` and forgets what it kept. Needs nothing installed."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

RUN = Path(__file__).resolve().parent.parent / ".run"
PID = RUN / "up.pid"
STOP_SECONDS = 60


def main() -> int:
    """Stops, waits, removes."""
    if PID.exists():
        pid = int(PID.read_text())
        try:
            os.kill(pid, signal.SIGTERM)
            if not _ended(pid):
                print(f"make down: process {pid} did not end", file=sys.stderr)
                return 1
        except ProcessLookupError:
            pass
    shutil.rmtree(RUN, ignore_errors=True)
    return 0


def _ended(pid: int) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
