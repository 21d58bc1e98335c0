"""A program as a process of ours: its output in a file, gone when we are gone."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# By util-linux, in the new process. Doing so from here, between fork and exec, would run the fork
# handlers of gRPC, which abort.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")

STOP_SECONDS = 20.0


class Process:
    """A running program. Start it from the main thread: its life hangs on the thread that forks."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        """Starts it. `environment` is added to ours; no secret belongs in it or in `command`."""
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_DIE_WITH_PARENT, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for who started it, and stops it in order
            )
        self._asked = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Asks it politely to end, once, and waits for nothing: while it ends nobody listens."""
        if not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self) -> None:
        """Ends it: politely, and after STOP_SECONDS not politely."""
        self.ask_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it with SIGKILL: it gets no chance to tidy up."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """The end of its output, for a person who asks why it ended."""
        return self.log.read_text(errors="replace")[-2000:].strip()
