"""What an installation with docker-compose.yml starts with: `python -m deploy.setup STEP`.

It runs as root, since each file is made for the one user that reads it. What is there is never made
again, so that it can be run at any time. `folders` comes before the services make their own
secrets, `finish` after that.
"""

import argparse
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import ca
from services.runtime.certificates import AUTHORITIES, CERTIFICATE, FILES
from services.runtime.secret_files import write_once

SERVICE_USER, ENVOY_USER, POSTGRES_USER, GRAFANA_USER = 10001, 101, 999, 472
"""User ids of the images: our own, and those of the official ones."""

DATABASES = ("auth", "server_ops", "security")
"""A database and its role, named as the service."""

LISTENER_FILES = ("internal.pem", "internal.key", "clients-ca.pem")
"""What the operator's own authority issues for the NOC's listener, or ours for a trial."""

MADE_BY_SERVICES = (
    *("f2h_auth_peppers", "f2h_auth_signing_keys", "f2h_auth_sealing_keys"),
    *("f2h_server_ops_bmc_keys", "f2h_server_ops_ssh_key"),
    *("f2h_security_service_key", "f2h_security_ssh_key"),
    *("principal_public_keys.json", "service_public_keys.json"),
)
"""What their commands create-secrets have written when `finish` is run."""

HTTPS_FILES = ("public.pem", "public.key")
"""What https on the public listener is spoken with, where it is switched on."""

PASSWORD_BYTES = 32


class Incomplete(Exception):  # noqa: N818 - it says what is the matter
    """Something that only the operator has is missing; the text is for them."""


@dataclass(frozen=True)
class Installation:
    """The folders of an installation."""

    secrets: Path
    tls: Path
    services_tls: Path

    def folders(self) -> None:
        """Gives the folder of secrets to the services, which then make their own in it."""
        _give(self.secrets, SERVICE_USER, 0o700)

    def finish(self) -> None:
        """Makes the database's passwords and, unless there are any, certificates for a trial.

        Raises Incomplete.
        """
        missing = [name for name in MADE_BY_SERVICES if not (self.secrets / name).exists()]
        if missing:
            raise Incomplete(f"create-secrets of the services did not make {', '.join(missing)}")
        self._make("postgres_password", secrets.token_hex(PASSWORD_BYTES), POSTGRES_USER)
        for name in DATABASES:
            url = self.secrets / f"f2h_{name}_database_url"
            password = self._make(
                f"{name}_database_password", secrets.token_hex(PASSWORD_BYTES), POSTGRES_USER
            )
            # An operator who has a PostgreSQL of their own has written its URL there.
            self._make(url.name, f"postgresql://{name}:{password}@postgres/{name}", SERVICE_USER)
        self._make("grafana_admin_password", secrets.token_hex(PASSWORD_BYTES), GRAFANA_USER)
        # None, until the operator has one: see docs/antispam.md.
        self._make("f2h_security_dnsbl_zone", "", SERVICE_USER)
        self._certificates()
        self._certificates_of_services()

    def _make(self, name: str, text: str, reader: int) -> str:
        """Writes a file unless it is there, for one reader. Answers what is in it."""
        file = self.secrets / name
        write_once(file, text)
        _give(file, reader, 0o400)
        return file.read_text()

    def _certificates(self) -> None:
        there = [name for name in LISTENER_FILES if (self.tls / name).exists()]
        ours = (self.tls / "ca.pem").exists()
        if there and not ours and len(there) < len(LISTENER_FILES):
            missing = ", ".join(sorted({*LISTENER_FILES} - {*there}))
            raise Incomplete(f"tls/ has certificates of your own authority, but not {missing}")
        if ours or not there:
            ca.make(self.tls)
            print("The certificates in tls/ are of an authority made here, good for a trial.")
        self.tls.chmod(0o755)
        spoken = [name for name in HTTPS_FILES if (self.tls / name).exists()]
        for name in (*LISTENER_FILES, *spoken):
            _give(self.tls / name, ENVOY_USER, 0o400)
        if ours or not there:
            (self.tls / "ca.pem").chmod(0o444)  # for those who call the NOC's listener

    def _certificates_of_services(self) -> None:
        parts = ("edge", *ca.SERVICES)
        there = [part for part in parts if (self.services_tls / part / CERTIFICATE).exists()]
        ours = (self.services_tls / AUTHORITIES).exists()
        if there and not ours and len(there) < len(parts):
            missing = ", ".join(sorted({*parts} - {*there}))
            raise Incomplete(
                f"services-tls/ has certificates of your own authority, but not {missing}"
            )
        if ours or not there:
            ca.make_services(self.services_tls)
        for part in parts:
            user = ENVOY_USER if part == "edge" else SERVICE_USER
            _give(self.services_tls / part, user, 0o500)
            for name in FILES:
                _give(self.services_tls / part / name, user, 0o400)


def _give(path: Path, user: int, mode: int) -> None:
    os.chown(path, user, user)
    path.chmod(mode)


def main() -> int:
    """Does one step."""
    parser = argparse.ArgumentParser(prog="python -m deploy.setup")
    parser.add_argument("step", choices=["folders", "finish"])
    parser.add_argument("--secrets", type=Path, default=Path("/secrets"))
    parser.add_argument("--tls", type=Path, default=Path("/tls"))
    parser.add_argument("--services-tls", type=Path, default=Path("/services-tls"))
    options = parser.parse_args()
    installation = Installation(options.secrets, options.tls, options.services_tls)
    try:
        getattr(installation, options.step)()
    except Incomplete as incomplete:
        print(incomplete, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
