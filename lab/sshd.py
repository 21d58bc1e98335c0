"""OpenSSH's server, for one key."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.process import Process

_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowStreamLocalForwarding yes
"""


class Sshd:
    """A running server; as a context manager. Needs root."""

    def __init__(
        self,
        folder: Path,
        authorized_key: str,
        *,
        address: str,
        port: int,
        within: Sequence[str] = (),
    ) -> None:
        """`within` runs it elsewhere, see namespaces.inside."""
        self.folder = folder
        self.address = address
        self.port = port
        self._authorized_key = authorized_key
        self._within = within
        self._process: Process | None = None

    @property
    def host_key(self) -> str:
        """Its public host key."""
        return (self.folder / "host_key.pub").read_text().strip()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        # Where it separates its privileges; Debian's own unit makes it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
        subprocess.run([*keygen, str(self.folder / "host_key")], check=True)
        (self.folder / "authorized_keys").write_text(self._authorized_key)
        config = self.folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, address=self.address, folder=self.folder))
        command = [*self._within, "/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        self._process = Process("sshd", command, self.folder / "log", {})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.stop()
