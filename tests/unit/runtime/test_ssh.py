from pathlib import Path

import asyncssh
import pytest

from services.runtime.ssh import create_key, is_host_key


def test_a_key_as_openssh_writes_it_is_a_host_key() -> None:
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
        key = asyncssh.generate_private_key(kind).export_public_key().decode()
        assert is_host_key(key)
        assert is_host_key(f"{key.strip()} root@gw1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 garbage",
        "ssh-ed25519 AAAA gw",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zO gw",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ],
)
def test_what_is_no_key_is_no_host_key(text: str) -> None:
    assert not is_host_key(text)


def test_a_key_pair_is_made_once_and_its_private_part_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "f2h_some_ssh_key"
    create_key(path)
    private = path.read_text()
    create_key(path)
    assert path.read_text() == private
    assert path.stat().st_mode & 0o777 == 0o600
    public = asyncssh.import_private_key(private).export_public_key().decode()
    assert path.with_suffix(".pub").read_text() == public
