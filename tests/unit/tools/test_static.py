"""What the edge serves as it is: whole, and only what is meant."""

import re
from pathlib import Path

import pytest

from tools import gen, static


@pytest.fixture
def made(tmp_path: Path) -> Path:
    static.make(tmp_path / "static")
    return tmp_path / "static"


def test_the_page_has_everything_that_it_asks_for(made: Path) -> None:
    page = (made / "docs" / "index.html").read_text()
    asked = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(asked) > 3
    for path in asked:
        assert (made / path.removeprefix("/")).is_file(), path


def test_nothing_in_the_page_needs_to_be_let_in_by_its_content_security_policy(made: Path) -> None:
    page = (made / "docs" / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert set(re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)) == {""}


def test_the_document_is_that_of_customers(made: Path) -> None:
    assert (made / "openapi.json").read_bytes() == (gen.GEN / "openapi.json").read_bytes()


def test_nothing_else_is_there_and_nothing_leads_elsewhere(made: Path) -> None:
    assert {each.name for each in made.iterdir()} == {"docs", "openapi.json"}
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
