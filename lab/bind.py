"""BIND 9 as the authoritative server of reverse zones, on loopback."""

import base64
import secrets
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.ports import HOST, free_port, wait_for_listener
from lab.process import Process

START_SECONDS = 10.0
KEY_NAME = "f2hcloud"

_OPTIONS = """\
options {{
  directory "{folder}";
  listen-on port {port} {{ {host}; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  pid-file none;
  session-keyfile "{folder}/session.key";
}};
controls {{ }};
key "{key_name}" {{ algorithm hmac-sha256; secret "{key}"; }};
"""

_ZONE = """\
zone "{name}" {{
  type primary;
  file "{name}.zone";
  {update}
}};
"""

_UPDATE = f"update-policy {{ grant {KEY_NAME} zonesub PTR; }};"

_RECORDS = """\
$TTL 300
@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 300
@ NS ns.invalid.
{records}
"""


class Bind:
    """A running server; as a context manager. Its address is `HOST` and `port`."""

    def __init__(
        self, folder: Path, reverse: Iterable[str], others: Mapping[str, str] | None = None
    ) -> None:
        """`reverse` are zones whose PTR records the key may change; `others` are zones that it may
        not, with their records as a zone file has them.
        """
        self.folder = folder
        self.port = free_port()
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._zones = dict.fromkeys(reverse, "") | dict(others or {})
        self._reverse = frozenset(reverse)
        self._process: Process | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What server_ops is told of it, beside the key."""
        return {
            "F2H_SERVER_OPS_DNS_SERVER": f"{HOST}:{self.port}",
            "F2H_SERVER_OPS_DNS_KEY_NAME": KEY_NAME,
            "F2H_SERVER_OPS_DNS_RESOLVER": f"{HOST}:{self.port}",
        }

    def dig(self, *arguments: str) -> list[str]:
        """The lines of a short answer, asked by BIND's own client."""
        command = ["dig", f"@{HOST}", "-p", str(self.port), "+short", "+time=2", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    def start(self) -> None:
        """Starts it, with what it held before."""
        command = ["named", "-g", "-c", str(self.folder / "named.conf")]
        self._process = Process("named", command, self.folder / "log", {})
        wait_for_listener(self.port, START_SECONDS)
        # It listens before it has read its zones, and refuses until then.
        deadline = time.monotonic() + START_SECONDS
        while not all(self.dig("SOA", zone) for zone in self._zones):
            if time.monotonic() > deadline:
                raise TimeoutError(self._process.last_words())
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        config = _OPTIONS.format(
            folder=self.folder, host=HOST, port=self.port, key_name=KEY_NAME, key=self.key
        )
        for name, records in self._zones.items():
            (self.folder / f"{name}.zone").write_text(_RECORDS.format(records=records))
            update = _UPDATE if name in self._reverse else ""
            config += _ZONE.format(name=name, update=update)
        path = self.folder / "named.conf"
        path.touch(mode=0o600)
        path.write_text(config)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
