"""Each service's lock has what the service needs, at the versions that are tested."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = ROOT / "requirements"
SERVICES = ("auth", "server_ops", "security")

PIN = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", re.MULTILINE)

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    if not module.name.endswith(".__main__") and ".migrations" not in module.name:
        importlib.import_module(module.name)
importlib.import_module(f"{package.__name__}.__main__")
from sqlalchemy.ext.asyncio import create_async_engine
create_async_engine("sqlite+aiosqlite://")
create_async_engine("postgresql+psycopg://")
"""
"""Imports every module of a service; and the drivers of databases, which SQLAlchemy imports by
their names."""


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((LOCKS / f"{lock}.lock").read_text()))


def installed_files(lock: str) -> Iterator[tuple[Path, Path]]:
    """The files of a lock's packages: where they are, and where below site-packages they belong."""
    for name in pins(lock):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue  # for another system
        for file in files:
            if ".." not in file.parts:
                yield Path(str(file.locate())), Path(str(file))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_needs_nothing_beside_its_own_lock(service: str, tmp_path: Path) -> None:
    """What its image holds, and nothing else: the packages, its own folder, services/runtime."""
    packages, code = tmp_path / "packages", tmp_path / "code"
    for source, target in installed_files(service):
        link = packages / target
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    (code / "services").mkdir(parents=True)
    for part in ("__init__.py", "runtime", service):
        (code / "services" / part).symlink_to(ROOT / "services" / part)
    path = [str(code), str(ROOT / "gen"), str(packages)]
    program = f"import sys; sys.path[:0] = {path}; {IMPORT_ALL}"
    # -S: without the packages that are installed here.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program, f"services.{service}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("lock", [*SERVICES, "setup", "gen"])
def test_what_is_shipped_is_what_is_tested(lock: str) -> None:
    tested = pins("dev")
    assert pins(lock)
    assert {name: tested.get(name) for name in pins(lock)} == pins(lock)


@pytest.mark.parametrize("lock", [*SERVICES, "setup", "gen", "dev"])
def test_every_package_is_known_by_its_digest(lock: str) -> None:
    text = (LOCKS / f"{lock}.lock").read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert len(packages) >= len(pins(lock))
    assert not [package for package in packages if "--hash=sha256:" not in package]


def test_a_service_has_no_driver_of_another_one() -> None:
    only = {"server_ops": {"dbos", "pyghmi", "sushy"}, "auth": {"argon2-cffi", "authlib"}}
    for owner, packages in only.items():
        for service in SERVICES:
            assert (packages <= {*pins(service)}) == (service == owner)
            assert service == owner or not packages & {*pins(service)}
