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

from services.auth import rotation
from services.auth.keys.secret import parse
from services.auth.settings import AuthSettings
from services.auth.store import MIGRATIONS
from services.runtime.database import migrate

ROOT = Path(__file__).parents[3]
SECRETS = {rotation.PEPPERS, rotation.SIGNING_KEYS, rotation.SEALING_KEYS}

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


def read_all(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def run(*arguments: str, **environment: str) -> Done:
    """Runs auth with a clean environment and these settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("F2H_")}
    return subprocess.run(
        [sys.executable, "-m", "services.auth", *arguments],
        env={**clean, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- create-secrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an installation has its secrets, which were just made."""
    rotation.create(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_secrets_are_made_for_their_owner_alone(folder: Path) -> None:
    assert set(read_all(folder)) == {*SECRETS, rotation.PUBLIC_KEYS}
    assert mode(folder) == 0o700
    assert {mode(folder / name) for name in SECRETS} == {0o600}


def test_secrets_are_never_made_again(folder: Path) -> None:
    made = read_all(folder)
    rotation.create(folder)
    assert read_all(folder) == made


def test_the_secrets_are_what_the_settings_take(folder: Path) -> None:
    settings = AuthSettings(_secrets_dir=folder)
    assert [len(dated.key) for dated in settings.peppers.values()] == [32]
    published = json.loads((folder / rotation.PUBLIC_KEYS).read_text())
    assert [*settings.public_keys()] == [*map(int, published)] == [1]


@pytest.mark.parametrize("public_url", ["https://api.example.net", "https://api.example.net/"])
def test_the_provider_sends_people_back_to_the_console_unless_told_otherwise(
    folder: Path, public_url: str
) -> None:
    settings = AuthSettings(_secrets_dir=folder, public_url=public_url)
    assert settings.redirect_url() == "https://api.example.net/console/"
    elsewhere = "https://console.example.net/back"
    settings = AuthSettings(_secrets_dir=folder, public_url=public_url, oidc_redirect_url=elsewhere)
    assert settings.redirect_url() == elsewhere


def test_two_installations_have_nothing_in_common(folder: Path, tmp_path: Path) -> None:
    rotation.create(tmp_path / "other")
    ours, others = read_all(folder), read_all(tmp_path / "other")
    assert all(ours[name] != others[name] for name in ours)


@pytest.mark.parametrize("lost", sorted({*SECRETS, rotation.PUBLIC_KEYS}))
def test_what_is_missing_is_made_and_fits_the_rest(folder: Path, lost: str) -> None:
    """Also what a run that was ended half-way did not make."""
    before = read_all(folder)
    (folder / lost).unlink()
    rotation.create(folder)
    after = read_all(folder)
    for name in SECRETS - {lost}:
        assert after[name] == before[name]
    AuthSettings(_secrets_dir=folder)


def test_no_secret_is_shown_when_it_is_made(tmp_path: Path) -> None:
    done = run("create-secrets", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {*read_all(tmp_path)} >= SECRETS


def test_a_rotation_says_its_number_and_what_is_in_use_stays(folder: Path) -> None:
    done = run("rotate-signing-key", str(folder), "--minutes", "5")
    assert (done.returncode, done.stdout) == (0, "2\n")
    done = run("retire-signing-key", str(folder), "1")
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


# --- Commands on the database


@pytest.fixture
def command(folder: Path, tmp_path: Path) -> Command:
    """Runs a command of an installation with an up-to-date database."""
    url = f"sqlite:///{tmp_path / 'auth.db'}"
    migrate(url, MIGRATIONS)

    def started(*arguments: str) -> Done:
        return run(*arguments, F2H_SECRETS_DIR=str(folder), F2H_AUTH_DATABASE_URL=url)

    return started


def test_a_noc_key_is_shown_once_kept_nowhere_and_can_be_revoked(
    command: Command, tmp_path: Path
) -> None:
    done = command("create-noc-key", "--label", "billing")
    key = parse(done.stdout.strip())
    assert key is not None
    assert key.secret not in done.stderr
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or key.secret.encode() not in path.read_bytes(), path
    assert command("revoke-noc-key", key.id).returncode == 0
    with closing(sqlite3.connect(tmp_path / "auth.db")) as database:
        [(revoked,)] = database.execute("SELECT revoke_time FROM api_key")
    assert revoked
    done = command("revoke-noc-key", "0" * 16)
    assert (done.returncode, done.stderr) == (1, f"there is no NOC key {'0' * 16}\n")


def test_a_noc_key_in_a_file_is_its_owners_alone_and_not_on_the_screen(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "noc.key"
    done = command("create-noc-key", "--label", "billing", "--secret-file", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert mode(file) == 0o600
    text = file.read_text()
    assert parse(text.strip()) is not None
    done = command("create-noc-key", "--label", "again", "--secret-file", str(file))
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert file.read_text() == text
    with closing(sqlite3.connect(tmp_path / "auth.db")) as database:
        assert database.execute("SELECT count(*) FROM api_key").fetchone() == (1,)


def test_people_are_made_and_what_is_wrong_is_said(command: Command) -> None:
    user = ("create-user", "--account", "acme", "--email", "A@example.net", "--role", "OWNER")
    done = command(*user)
    assert done.returncode == 1
    assert "there is no account acme" in done.stderr
    assert command("create-account", "acme").returncode == 0
    done = command(*user)
    assert (done.returncode, len(done.stdout.strip()) >= 20) == (0, True)
    done = command(*user)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a@example.net" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_are_in_the_trail_which_is_whole_until_somebody_changes_it(
    command: Command, tmp_path: Path
) -> None:
    assert command("create-account", "acme").returncode == 0
    assert command("create-account", "acme").returncode == 1
    checkpoint = tmp_path / "checkpoints"
    checkpoint.write_text(command("audit-checkpoint").stdout)
    assert json.loads(checkpoint.read_text())["sequence"] == "4", "two attempts, two outcomes"
    done = command("verify-audit", "--checkpoint", str(checkpoint))
    assert (done.returncode, done.stdout[:9]) == (0, "4 records")
    with closing(sqlite3.connect(tmp_path / "auth.db")) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET account = 'other' WHERE sequence = 3")
        database.commit()
    done = command("verify-audit")
    assert done.returncode == 1
    assert done.stderr.startswith("record 3: ")
    done = command("verify-audit", "--checkpoint", str(tmp_path / "nothing"))
    assert done.returncode == 2


def test_a_pepper_that_keys_need_is_not_retired(command: Command, folder: Path) -> None:
    assert command("create-noc-key", "--label", "billing").returncode == 0
    assert command("rotate-pepper", str(folder), "--minutes", "0").stdout == "2\n"
    done = command("retire-pepper", str(folder), "1")
    assert done.returncode == 1
    assert "1 active keys" in done.stderr
    assert len(AuthSettings(_secrets_dir=folder).peppers) == 2


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


def test_a_wrong_setting_ends_the_process_with_status_2_and_no_traceback() -> None:
    done = run(F2H_AUTH_PEPPERS="canary")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("F2H_AUTH_PEPPERS: ")
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
