"""A real browser before the whole system."""

import itertools
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    Route,
    expect,
    sync_playwright,
)

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import ACCOUNT, IN_THE_CLEAR, System, running

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}

SECONDS = 60
"""For what takes the browser of a busy machine some time."""

expect.set_options(timeout=SECONDS * 1000)

_NUMBERS = itertools.count()
_NO_OTHER_HOST = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",)
_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """For the tests of one module. Nothing is given up there while a page is looked at."""
    settings = {"F2H_SERVER_OPS_RESTART_SECONDS": "120", "F2H_SERVER_OPS_RESCUE_SECONDS": "120"}
    with running(tmp_path_factory.mktemp("system"), settings) as made:
        yield made


@pytest.fixture
def bmc(system: System) -> IpmiSim:
    """A BMC of this test's own."""
    return system.bmc()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers, for the tests of one module."""
    with sync_playwright() as made:
        yield made


def launch(playwright: Playwright, *without: str) -> Browser:
    """Debian's Chromium, `without` some of the options that Playwright gives it."""
    return playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", *_NO_OTHER_HOST],
        ignore_default_args=[*without],
    )


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The browser of all tests of one module."""
    made = launch(playwright)
    yield made
    made.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser in which nothing is open; what a test opens is closed after it."""
    yield chromium
    for context in chromium.contexts:
        context.close()


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
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")


def watch(page: Page) -> Seen:
    """Records what the page does from now on."""
    seen = Seen()
    page.on("request", seen.asked)
    page.on("pageerror", seen.failed)
    page.on("console", seen.said)
    return seen


@dataclass(frozen=True)
class Person:
    """Somebody who signs in."""

    email: str
    password: str


def person(system: System, role: str = "OWNER", account: str = ACCOUNT) -> Person:
    """A new person of an account."""
    system.account(account)
    form = {"account": account, "email": f"person{next(_NUMBERS)}@example.net", "role": role}
    answer = system.noc("POST", "/api/noc/users", json=form)
    assert answer.status_code == 200, answer.text
    return Person(form["email"], answer.json()["password"])


def open_console(
    browser: Browser, system: System, size: Any = DESK, path: str = "", **context: Any
) -> Page:
    """The console in a browser of its own, before anybody is signed in, at this path of it."""
    page = browser.new_context(viewport=size, **context).new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{system.stack.url}/console#{path}" if path else f"{system.stack.url}/console")
    return page


def fill_in(page: Page, who: Person) -> None:
    """Signs in on a page that asks for it."""
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_in(
    browser: Browser, system: System, who: Person, size: Any = DESK, **context: Any
) -> Page:
    """The console with this person signed in."""
    page = open_console(browser, system, size, **context)
    fill_in(page, who)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    return page


def call(system: System, who: Person, verb: str, path: str, **body: Any) -> dict[str, Any]:
    """A call of this person, signed in elsewhere."""
    with httpx.Client(base_url=system.stack.url, verify=IN_THE_CLEAR, timeout=SECONDS) as client:
        client.headers["Origin"] = system.stack.url
        form = {"email": who.email, "password": who.password}
        assert client.post("/api/auth/login", json=form).status_code == 200
        answer = client.request(verb, path, json=body or None)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made


def end_sessions(system: System, who: Person) -> None:
    """What the NOC does when somebody's session must end now."""
    user = call(system, who, "GET", "/api/auth/me")["user"]
    answer = system.noc("POST", f"/api/noc/users/{user['id']}/end_sessions", json={})
    assert answer.status_code == 200, answer.text


@dataclass
class Held:
    """Calls that the API does not get before they are released."""

    routes: list[Route] = field(default_factory=list)
    released: bool = False

    def keep(self, route: Route) -> None:
        """Called with each of them."""
        self.routes.append(route)
        if self.released:
            route.continue_()

    def release(self) -> None:
        """Lets them go on, and those that come later: a page asks when it likes."""
        self.released = True
        # What comes meanwhile goes on by itself.
        for route in [*self.routes]:
            route.continue_()


def hold(page: Page, calls: re.Pattern[str], verb: str = "") -> Held:
    """Calls of this kind, from now on; of every verb, or of this one."""
    held = Held()

    def keep(route: Route) -> None:
        if verb in {"", route.request.method}:
            held.keep(route)
        else:
            route.continue_()

    page.route(calls, keep)
    return held


def complaints(seen: Seen) -> list[str]:
    """What a page complained of; that nobody was signed in browsers call an error as well."""
    return [each for each in seen.complaints if "401 (Unauthorized)" not in each]


def serious(page: Page) -> list[str]:
    """What axe finds on the page as it is that is serious or critical: rule, place, and why."""
    page.evaluate(_AXE.read_text())
    violations = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{violation['id']} {node['target']}: {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


def fits(page: Page) -> bool:
    """Whether nothing of the page is beyond the edge of the screen."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))
