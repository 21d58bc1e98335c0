"""A simulated machine that boots from the network, as its firmware and the booted system do it."""

import base64
import json
import re
import secrets
import shutil
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT_SECONDS = 10.0


@dataclass
class NetworkBoot:
    """One boot. Every call raises OSError when it is refused or not answered."""

    url: str
    """Where the provisioning listener is; what a script says of that is for machines in QEMU."""
    mac: str
    uuid: str = ""
    report_token: str = field(default_factory=lambda: secrets.token_hex(32))
    """By what the booted system is known."""

    def script(self) -> str:
        """The script that the machine is given."""
        query = urlencode({"mac": self.mac.replace(":", "-"), "uuid": self.uuid})
        with self._open(f"/netboot/script?{query}") as answer:
            return str(answer.read().decode())

    def begin(self, token: str) -> dict[str, Any]:
        """Shows the script's token, and learns what to do."""
        return self._post("/netboot/begin", {"token": token, "report_token": self.report_token})

    def report(self, event: str, **said: Any) -> None:
        """Says how far it is."""
        self._post("/netboot/report", {"report_token": self.report_token, "event": event, **said})

    def run(self, stop: threading.Event) -> None:
        """Asks what to boot, boots that, and calls home until it is stopped or not wanted."""
        script = self.script()
        token = token_in(script)
        for path in re.findall(r"^(?:kernel|initrd) --name \S+ (\S+)", script, re.MULTILINE):
            with self._open(path) as content, open("/dev/null", "wb") as nowhere:
                shutil.copyfileobj(content, nowhere)
        if token is None:
            return
        told = self.begin(token)
        self.report("READY", ssh_host_keys=[host_key()], percent=100)
        with suppress(OSError):
            while not stop.wait(told["heartbeat_seconds"]):
                self.report("ALIVE")

    def _post(self, path: str, form: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        with self._open(path, json.dumps(form).encode(), headers) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def _open(
        self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        url = urljoin(self.url, urlsplit(path)._replace(scheme="", netloc="").geturl())
        request = urllib.request.Request(url, data, headers or {})  # noqa: S310 - our own
        return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - our own


def token_in(script: str) -> str | None:
    """The token that a script puts on the kernel's command line; None: it boots the disk."""
    found = re.search(r"f2h\.token=(\S+)", script)
    return found[1] if found else None


def host_key() -> str:
    """The public part of an SSH host key that nobody has the private part of (RFC 8709)."""
    name, key = b"ssh-ed25519", secrets.token_bytes(32)
    blob = b"".join(len(part).to_bytes(4) + part for part in (name, key))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
