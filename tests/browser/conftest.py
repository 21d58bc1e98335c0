"""A real browser before the whole system."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import System, running

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """For the tests of one module."""
    with running(tmp_path_factory.mktemp("system")) as made:
        yield made


@pytest.fixture
def bmc(system: System) -> IpmiSim:
    """A BMC of this test's own."""
    return system.bmc()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@dataclass
class Seen:
    """What a page did, and what it complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Which hosts and ports were asked for anything."""
        return {urlsplit(each).netloc for each in self.requests if not each.startswith("data:")}

    def asked(self, request: Request) -> None:
        """Called with everything that the page asks for."""
        self.requests.append(request.url)

    def failed(self, error: Error) -> None:
        """Called with what no script of the page caught."""
        self.complaints.append(str(error))

    def said(self, message: ConsoleMessage) -> None:
        """Called with what the console shows: a violation of the page's CSP is an error there."""
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


def watch(page: Page) -> Seen:
    """Records what the page does from now on."""
    seen = Seen()
    page.on("request", seen.asked)
    page.on("pageerror", seen.failed)
    page.on("console", seen.said)
    return seen
