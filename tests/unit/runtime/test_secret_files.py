import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.runtime.secret_files import write_once


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_secret_is_for_its_owner_only_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "pepper"
    assert write_once(path, "hidden")
    assert path.read_text() == "hidden"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_secret_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    assert write_once(path, "first")
    assert not write_once(path, "second")
    assert path.read_text() == "first"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    assert not write_once(link, "hidden")
    assert not target.exists()


def test_of_many_that_write_at_once_one_does(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    with ThreadPoolExecutor(8) as threads:
        texts = [f"secret {number}" for number in range(50)]
        written = [*threads.map(lambda text: write_once(path, text), texts)]
    assert written.count(True) == 1
    assert path.read_text() == texts[written.index(True)]
