import asyncio
import base64
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.auth.__main__ import (
    MIGRATIONS,
    create_noc_key,
    create_secrets,
    hand_over,
    revoke_noc_key,
)
from services.auth.bootstrap import build
from services.auth.keys.secret import parse
from services.auth.settings import AuthSettings
from services.runtime.database import migrate

ROOT = Path(__file__).parents[3]
PEPPERS, SIGNING_KEY = "f2h_auth_peppers", "f2h_auth_principal_signing_key"
PUBLIC_KEYS = "principal_public_keys.json"
SECRETS = {PEPPERS, SIGNING_KEY}


def read_all(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def public_key(signing: str) -> dict[str, str]:
    """The public key of a signing key's file, as services are told it."""
    found = json.loads(signing)
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(found["key"]))
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return {str(found["number"]): public}


# --- create-secrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an installation has its secrets, which were just made."""
    create_secrets(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_secrets_are_made_for_their_owner_alone(folder: Path) -> None:
    assert set(read_all(folder)) == {*SECRETS, PUBLIC_KEYS}
    assert mode(folder) == 0o700
    assert {mode(folder / name) for name in SECRETS} == {0o600}


def test_secrets_are_never_made_again(folder: Path) -> None:
    made = read_all(folder)
    create_secrets(folder)
    assert read_all(folder) == made


def test_the_secrets_are_what_the_settings_take(folder: Path) -> None:
    settings = AuthSettings(_secrets_dir=folder)
    assert {number: len(pepper) for number, pepper in settings.peppers.items()} == {1: 32}
    assert settings.principal_signing_key.number == 1


def test_the_public_key_is_that_of_the_signing_key(folder: Path) -> None:
    made = read_all(folder)
    assert json.loads(made[PUBLIC_KEYS]) == public_key(made[SIGNING_KEY])


def test_two_installations_have_nothing_in_common(folder: Path, tmp_path: Path) -> None:
    create_secrets(tmp_path / "other")
    ours, others = read_all(folder), read_all(tmp_path / "other")
    assert all(ours[name] != others[name] for name in ours)


@pytest.mark.parametrize("lost", [PUBLIC_KEYS, PEPPERS, SIGNING_KEY])
def test_what_is_missing_is_made_and_fits_the_rest(folder: Path, lost: str) -> None:
    """Also what a run that was ended half-way did not make."""
    before = read_all(folder)
    (folder / lost).unlink()
    create_secrets(folder)
    after = read_all(folder)
    for name in SECRETS - {lost}:
        assert after[name] == before[name]
    assert json.loads(after[PUBLIC_KEYS]) == public_key(after[SIGNING_KEY])


def test_a_public_key_of_an_earlier_signing_key_stays_published(folder: Path) -> None:
    """A principal that it signed is in use for some seconds more."""
    earlier = json.loads((folder / PUBLIC_KEYS).read_text())
    key = base64.b64encode(bytes(range(32))).decode()
    (folder / SIGNING_KEY).write_text(json.dumps({"number": 2, "key": key}))
    create_secrets(folder)
    now = read_all(folder)
    assert json.loads(now[PUBLIC_KEYS]) == {**earlier, **public_key(now[SIGNING_KEY])}


def test_no_secret_is_shown_when_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_secrets(tmp_path)
    shown = "".join(capsys.readouterr())
    for secret in (
        json.loads((tmp_path / PEPPERS).read_text())["1"],
        json.loads((tmp_path / SIGNING_KEY).read_text())["key"],
    ):
        assert secret not in shown


# --- create-noc-key


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> AuthSettings:
    """Those of an installation with an up-to-date database."""
    url = f"sqlite:///{tmp_path / 'auth.db'}"
    migrate(url, MIGRATIONS)
    return AuthSettings(_secrets_dir=folder, database_url=url)


@pytest.fixture
def make(settings: AuthSettings) -> Callable[[], str]:
    """Makes a NOC key."""
    return lambda: asyncio.run(create_noc_key(settings, "billing"))


def test_a_noc_key_is_shown_once_and_kept_nowhere(
    make: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hand_over(make, None) == 0
    out, err = capsys.readouterr()
    key = parse(out.strip())
    assert key is not None
    assert key.secret not in err
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or key.secret.encode() not in path.read_bytes(), path


def test_a_leaked_noc_key_can_be_revoked(make: Callable[[], str], settings: AuthSettings) -> None:
    key = parse(make())
    assert key is not None

    async def revoked() -> bool:
        async with build(settings) as auth:
            record = await auth.keys.record(key.id)
        return record is not None and record.revoked

    assert not asyncio.run(revoked())
    assert asyncio.run(revoke_noc_key(settings, key.id)) == 0
    assert asyncio.run(revoked())


def test_revoking_what_is_no_noc_key_says_so(
    settings: AuthSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asyncio.run(revoke_noc_key(settings, "0" * 16)) == 1
    assert capsys.readouterr().err == f"there is no NOC key {'0' * 16}\n"


def test_a_noc_key_in_a_file_is_its_owners_alone_and_not_on_the_screen(
    make: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noc.key"
    assert hand_over(make, file) == 0
    assert capsys.readouterr().out == ""
    assert mode(file) == 0o600
    assert parse(file.read_text().strip()) is not None


def test_a_file_that_is_there_stays_and_no_key_is_made_that_nobody_knows(
    make: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noc.key"
    file.write_text("mine")
    assert hand_over(make, file) == 1
    assert str(file) in capsys.readouterr().err
    assert file.read_text() == "mine"
    with closing(sqlite3.connect(tmp_path / "auth.db")) as database:
        assert database.execute("SELECT count(*) FROM api_key").fetchone() == (0,)


def test_a_file_that_came_meanwhile_stays_and_the_loss_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noc.key"

    def make() -> str:
        file.write_text("mine")
        return "secret"

    assert hand_over(make, file) == 1
    out, err = capsys.readouterr()
    assert str(file) in err
    assert "secret" not in out + err
    assert file.read_text() == "mine"


# --- Wrong settings


@pytest.mark.parametrize(
    "url", ["", "canary", "mysql://canary@host/name", "postgresql:canary", "sqlite://"]
)
def test_a_database_that_we_cannot_use_stops_every_command_naming_the_field(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, url: str
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name.upper(), (folder / name).read_text())
    monkeypatch.setenv("F2H_AUTH_DATABASE_URL", url)
    with pytest.raises(SystemExit) as stopped:
        AuthSettings.load()
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("F2H_AUTH_DATABASE_URL: ")
    assert "canary" not in line


def test_a_wrong_setting_ends_the_process_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("F2H_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.auth"],
        env={**clean, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "F2H_AUTH_PEPPERS": "canary"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("F2H_AUTH_PEPPERS: ")
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
