"""What every test can use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres

_FIRST = ("machine", "fault", "readme", "integration", "browser")
"""Folders whose modules take long: begun last, one of them would go on while nothing else does."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what takes longest; the order stays otherwise."""
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0]
        return _FIRST.index(folder) if folder in _FIRST else len(_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL server of this test run's own."""
    # A socket's path has at most 107 bytes, so it does not stand in pytest's deep folders.
    folder = Path("/tmp") / f"f2h-pg-{tmp_path_factory.getbasetemp().name}-{id(tmp_path_factory)}"
    with Postgres(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database, once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
