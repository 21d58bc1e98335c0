"""Net-SNMP's agent, which answers for this machine's interfaces as a switch does for its ports."""

import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.ports import HOST, free_port
from lab.process import Process

LOOPBACK = 1
"""ifIndex of this machine's loopback interface."""

USER = "f2hcloud"


class Snmpd:
    """A running agent; as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port(socket.SOCK_DGRAM)
        self.community = secrets.token_hex(8)
        self.auth_passphrase = secrets.token_hex(8)
        self.privacy_passphrase = secrets.token_hex(8)
        self._process: Process | None = None

    def start(self) -> None:
        """Starts it; it answers within a second."""
        command = ["snmpd", "-f", "-Lo", "-C", "-c", str(self.folder / "snmpd.conf")]
        # What it remembers of users is its own.
        environment = {"SNMP_PERSISTENT_DIR": str(self.folder / "state"), "MIBS": ""}
        self._process = Process("snmpd", command, self.folder / "log", environment)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        (self.folder / "state").mkdir(parents=True)
        config = self.folder / "snmpd.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"agentaddress udp:{HOST}:{self.port}\n"
            f"rocommunity {self.community} {HOST}\n"
            f"createUser {USER} SHA-256 {self.auth_passphrase} AES {self.privacy_passphrase}\n"
            f"rouser {USER} priv\n"
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
