"""What the edge serves as it is: whole, and only what is meant."""

import gzip
import json
import re
from pathlib import Path

import pytest

from tools import console, gen, static

FIRST_LOAD_BYTES = 150_000
"""What a phone fetches before it shows the console, compressed."""

PAGES = ("console", "docs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "static"
    static.make(folder)
    return folder


def page_of(made: Path, name: str) -> str:
    return (made / name / "index.html").read_text()


def asked_by(made: Path, name: str) -> list[Path]:
    """The files that a page asks for by itself."""
    asked = re.findall(r'<(?:link|script)[^>]*\s(?:src|href)="([^"]*)"', page_of(made, name))
    return [made / path.removeprefix("/") for path in asked]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_has_everything_that_it_asks_for(made: Path, name: str) -> None:
    asked = asked_by(made, name)
    assert {".js", ".css"} <= {path.suffix for path in asked}
    assert not [path for path in asked if not path.is_file()]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_in_the_page_needs_to_be_let_in_by_its_content_security_policy(
    made: Path, name: str
) -> None:
    page = page_of(made, name)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert set(re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)) == {""}


def test_the_console_is_there_soon(made: Path) -> None:
    first = [made / "console" / "index.html", *asked_by(made, "console")]
    loaded = sum(len(gzip.compress(path.read_bytes(), 6)) for path in first)
    assert loaded <= FIRST_LOAD_BYTES


def test_what_the_edge_lets_browsers_keep_has_its_content_in_its_name(made: Path) -> None:
    kept = [path.name for path in (made / "console" / "assets").iterdir()]
    assert kept
    assert not [name for name in kept if not re.fullmatch(r".+-[\w-]{8}\.\w+", name)]


def test_the_document_is_that_of_customers(made: Path) -> None:
    assert (made / "openapi.json").read_bytes() == (gen.GEN / "openapi.json").read_bytes()


def test_nothing_else_is_there_and_nothing_leads_elsewhere(made: Path) -> None:
    assert {each.name for each in made.iterdir()} == {"console", "docs", "openapi.json"}
    everything = [*made.rglob("*")]
    assert not [each for each in everything if each.is_symlink() or each.name.startswith(".")]
    assert not [each for each in everything if each.suffix in {".map", ".lock"}]
    assert "package.json" not in {each.name for each in everything}


def test_the_licenses_of_what_is_passed_on_are_passed_on(made: Path) -> None:
    assert "Apache License" in (made / "docs" / "LICENSE").read_text()
    assert "SmartBear" in (made / "docs" / "NOTICE").read_text()
    named = re.search(r"see (\S+LICENSE\S*)", (made / "docs" / "swagger-ui-bundle.js").read_text())
    assert named
    assert (made / "docs" / named[1]).is_file()
    bundled = (made / "console" / "licenses.md").read_text()
    packages = json.loads((console.CONSOLE / "package.json").read_text())["dependencies"]
    used = {name for name in packages if imported(name)}
    assert {"preact", "openapi-fetch"} <= used
    assert not [name for name in used if f"## {name} " not in bundled]


def imported(package: str) -> bool:
    """Whether the console's code imports it: what is not imported is not passed on."""
    code = (path.read_text() for path in (console.CONSOLE / "src").rglob("*.ts*"))
    return any(re.search(rf'(?:from|import) ?\(?"{re.escape(package)}["/]', each) for each in code)
