"""Debian's PostgreSQL as a server of the test run's own, on a Unix socket."""

import itertools
import os
import pwd
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

# PostgreSQL refuses to run as root. By util-linux, in the new process: with subprocess's own `user`
# Python forks, and the fork handlers of gRPC now and then crash the child.
_NOT_ROOT = (
    ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()
)


class Postgres:
    """A running server; as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._numbers = itertools.count()
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert versions, "the tests need Debian's package postgresql"
        self._programs = versions[-1]

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        self._run("createdb", "-h", str(self._folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def start(self) -> None:
        """Starts it again after stop()."""
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-D", str(self._data), "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stops it at once, as a database that goes away."""
        self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "immediate", "stop")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._run(
            *("initdb", "-D", str(self._data), "-U", "postgres"),
            *("-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync"),
        )
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*_NOT_ROOT, str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,  # a pipe would be kept open by the server
            cwd="/",
        )
