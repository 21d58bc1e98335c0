import base64
import json
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.auth import rotation
from services.auth.settings import AuthSettings
from tests.unit.auth.rings import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an installation has its secrets, which were just made."""
    rotation.create(tmp_path / "secrets")
    return tmp_path / "secrets"


def read(folder: Path, name: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((folder / name).read_text())
    return found


def public_key(key: str) -> str:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key))
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


@pytest.mark.parametrize("name", [rotation.PEPPERS, rotation.SIGNING_KEYS])
def test_a_rotation_keeps_what_there_is_and_dates_what_is_new(folder: Path, name: str) -> None:
    before = read(folder, name)
    rotate = rotation.rotate_pepper if name == rotation.PEPPERS else rotation.rotate_signing_key
    assert rotate(folder, NOW, HOUR) == 2
    after = read(folder, name)
    assert after["1"] == before["1"]
    assert after["2"]["key"] != before["1"]["key"]
    assert datetime.fromisoformat(after["2"]["use_from"]) == NOW + HOUR
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert {path.name for path in folder.iterdir()} == {
        rotation.PEPPERS,
        rotation.SIGNING_KEYS,
        rotation.SEALING_KEYS,
        rotation.PUBLIC_KEYS,
    }
    settings = AuthSettings(_secrets_dir=folder)
    dated = settings.peppers if name == rotation.PEPPERS else settings.signing_keys
    assert dated[2].use_from == NOW + HOUR


def test_a_new_signing_key_is_published_before_it_is_used(folder: Path) -> None:
    rotation.rotate_signing_key(folder, NOW, HOUR)
    keys = read(folder, rotation.SIGNING_KEYS)
    assert json.loads((folder / rotation.PUBLIC_KEYS).read_text()) == {
        number: public_key(dated["key"]) for number, dated in keys.items()
    }


def test_what_is_in_use_cannot_be_retired(folder: Path) -> None:
    for at in (NOW, NOW + 2 * HOUR):
        with pytest.raises(rotation.Refused, match="in use"):
            rotation.retire_pepper(folder, 1, at)
    rotation.rotate_pepper(folder, NOW, HOUR)
    with pytest.raises(rotation.Refused, match="in use"):
        rotation.retire_pepper(folder, 1, NOW + HOUR - timedelta(seconds=1))
    with pytest.raises(rotation.Refused, match="in use"):
        rotation.retire_pepper(folder, 2, NOW + HOUR)
    rotation.retire_pepper(folder, 1, NOW + HOUR)
    assert [*read(folder, rotation.PEPPERS)] == ["2"]


def test_a_signing_key_is_kept_until_its_last_token_has_ended(folder: Path) -> None:
    rotation.rotate_signing_key(folder, NOW, HOUR)
    with pytest.raises(rotation.Refused, match="in use"):
        rotation.retire_signing_key(folder, 1, NOW + HOUR + rotation.LONGEST_SIGNED - HOUR / 3600)
    rotation.retire_signing_key(folder, 1, NOW + HOUR + rotation.LONGEST_SIGNED)
    assert [*read(folder, rotation.SIGNING_KEYS)] == ["2"]
    assert [*json.loads((folder / rotation.PUBLIC_KEYS).read_text())] == ["2"]


def test_an_unknown_number_and_a_missing_folder_are_said_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(rotation.Refused, match="has no number 7"):
        rotation.retire_pepper(folder, 7, NOW)
    with pytest.raises(rotation.Refused, match="create-secrets"):
        rotation.rotate_pepper(tmp_path / "nowhere", NOW, HOUR)
