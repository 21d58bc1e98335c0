"""What an installation starts with."""

import os
from pathlib import Path

import pytest

from deploy import setup
from deploy.setup import (
    DATABASES,
    ENVOY_USER,
    LISTENER_FILES,
    MADE_BY_SERVICES,
    POSTGRES_USER,
    SERVICE_USER,
    Incomplete,
    Installation,
)


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Who was given what, by name: only root can give."""
    given: dict[str, int] = {}
    monkeypatch.setattr(os, "chown", lambda path, user, _: given.update({Path(path).name: user}))
    return given


@pytest.fixture
def installation(tmp_path: Path, owners: dict[str, int]) -> Installation:
    """One whose services have made their secrets."""
    made = Installation(tmp_path / "secrets", tmp_path / "tls", tmp_path / "services-tls")
    made.secrets.mkdir()
    made.tls.mkdir()
    made.folders()
    for name in MADE_BY_SERVICES:
        (made.secrets / name).write_text("made by a service")
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_each_database_has_a_password_of_its_own_that_its_url_holds(
    installation: Installation,
) -> None:
    installation.finish()
    passwords = set()
    for name in DATABASES:
        password = (installation.secrets / f"{name}_database_password").read_text()
        url = (installation.secrets / f"f2h_{name}_database_url").read_text()
        assert url == f"postgresql://{name}:{password}@postgres/{name}"
        passwords.add(password)
    passwords.add((installation.secrets / "postgres_password").read_text())
    assert len(passwords) == 4
    assert min(map(len, passwords)) >= 64


def test_a_file_is_for_the_one_who_reads_it(
    installation: Installation, owners: dict[str, int]
) -> None:
    installation.finish()
    assert owners["secrets"] == owners["f2h_auth_database_url"] == SERVICE_USER
    assert owners["auth_database_password"] == owners["postgres_password"] == POSTGRES_USER
    assert {owners[name] for name in LISTENER_FILES} == {ENVOY_USER}
    assert installation.secrets.stat().st_mode & 0o777 == 0o700
    for name in ("postgres_password", "f2h_auth_database_url"):
        assert (installation.secrets / name).stat().st_mode & 0o777 == 0o400
    for file in installation.tls.iterdir():
        assert file.name == "ca.pem" or file.stat().st_mode & 0o077 == 0, file


def test_a_second_time_changes_nothing(installation: Installation) -> None:
    installation.finish()
    before = contents(installation.secrets), contents(installation.tls)
    installation.folders()
    installation.finish()
    assert (contents(installation.secrets), contents(installation.tls)) == before


def test_the_url_of_another_database_is_kept(installation: Installation) -> None:
    url = "postgresql://auth:theirs@db.example.net/auth"
    (installation.secrets / "f2h_auth_database_url").write_text(url)
    installation.finish()
    assert (installation.secrets / "f2h_auth_database_url").read_text() == url


def test_certificates_of_the_operators_own_authority_are_kept(installation: Installation) -> None:
    for name in LISTENER_FILES:
        (installation.tls / name).write_text("theirs")
    installation.finish()
    assert contents(installation.tls) == dict.fromkeys(LISTENER_FILES, b"theirs")


@pytest.mark.parametrize("missing", LISTENER_FILES)
def test_a_certificate_that_is_missing_among_theirs_is_named(
    installation: Installation, missing: str
) -> None:
    for name in LISTENER_FILES:
        if name != missing:
            (installation.tls / name).write_text("theirs")
    with pytest.raises(Incomplete, match=missing):
        installation.finish()


def test_a_service_that_has_made_no_secrets_is_noticed(
    installation: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (installation.secrets / MADE_BY_SERVICES[0]).unlink()
    folders = ["--secrets", str(installation.secrets), "--tls", str(installation.tls)]
    monkeypatch.setattr("sys.argv", ["setup", "finish", *folders])
    assert setup.main() == 1
    assert MADE_BY_SERVICES[0] in capsys.readouterr().err
    assert not (installation.secrets / "postgres_password").exists()
