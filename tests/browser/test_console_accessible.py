"""The console for who sees or moves little, or has a small screen: each page by axe and keys."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    DESK,
    Person,
    complaints,
    fill_in,
    fits,
    open_console,
    person,
    serious,
    watch,
)
from tests.integration.conftest import System

SMALL = {"width": 360, "height": 740}

PAGES = {
    "/servers": "Servers",
    "/servers/{hostname}": "{hostname}",
    "/keys": "API keys",
    "/keys/new": "Generate API key",
    "/audit": "Audit",
    "/audit?outcome=REFUSED": "Audit",
    "/account": "Account",
    "/nothing": "There is no such page",
}
"""The headings of the pages by their paths. A page that is new belongs here."""

LOOKS = [(size, scheme) for size in (SMALL, DESK) for scheme in ("light", "dark")]
looks = pytest.mark.parametrize(
    ("size", "scheme"), LOOKS, ids=[f"{size['width']}-{scheme}" for size, scheme in LOOKS]
)


@pytest.fixture(scope="module")
def who(system: System) -> Person:
    return person(system)


@pytest.fixture(scope="module")
def hostname(system: System) -> str:
    hostname = system.server(system.bmc())
    system.key(hostname, label="nightly job")
    return hostname


def is_fit(page: Page) -> None:
    assert serious(page) == []
    assert fits(page)


@pytest.fixture
def pages(system: System, who: Person, hostname: str) -> dict[str, str]:
    """The headings of all pages, by the addresses that they have in this system."""
    url = f"{system.stack.url}/console/#"
    named = {"hostname": hostname}
    return {url + path.format(**named): name.format(**named) for path, name in PAGES.items()}


def each_page(page: Page, pages: dict[str, str]) -> Iterator[str]:
    """Goes to each page in turn, and waits until all of it is there."""
    for address, heading in pages.items():
        page.goto(address)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
        yield address


@looks
def test_nothing_serious_is_found_on_any_page(
    system: System, browser: Browser, who: Person, pages: dict[str, str], size: Any, scheme: Any
) -> None:
    page = open_console(browser, system, size, color_scheme=scheme, reduced_motion="reduce")
    seen = watch(page)
    expect(page.get_by_label("Password")).to_be_visible()
    is_fit(page)
    fill_in(page, Person(who.email, "not it at all"))
    expect(page.get_by_role("alert")).to_be_visible()
    is_fit(page)
    fill_in(page, who)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    for _ in each_page(page, pages):
        is_fit(page)
    assert complaints(seen) == []


@looks
def test_nothing_serious_is_found_in_what_opens(
    system: System, browser: Browser, who: Person, size: Any, scheme: Any
) -> None:
    page = open_console(browser, system, size, path="/account", color_scheme=scheme)
    fill_in(page, who)
    page.get_by_role("button", name="Set up second factor").click()
    is_fit(page)
    page.get_by_label("Your password").fill(who.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    is_fit(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Audit").click()
    page.get_by_text("Filter", exact=True).click()
    expect(page.get_by_label("Outcome")).to_be_visible()
    is_fit(page)


REACHABLE = (
    ":is(a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary,"
    " [tabindex='0']):not([tabindex='-1']):visible"
)

MARK = """() => {
  const here = document.activeElement;
  if (here === document.body) return true;
  here.dataset.reached = "yes";
  return getComputedStyle(here).outlineStyle !== "none";
}"""
"""Remembers where the focus is; whether it is seen there."""

ROUNDS = 5

MISSED = """all => all
  // Tab reaches one of several radio buttons, the arrows the others.
  .filter((each) => !each.dataset.reached && each.type !== "radio")
  .map((each) => each.outerHTML)"""


def tab_round(page: Page, address: str) -> None:
    """From where the focus is through the browser's own controls to there again."""
    for _ in range(page.locator(REACHABLE).count() + 3):
        page.keyboard.press("Tab")
        assert page.evaluate(MARK), address


def test_all_that_can_be_clicked_is_reached_by_keyboard_and_is_seen_there(
    system: System, browser: Browser, who: Person, pages: dict[str, str]
) -> None:
    page = open_console(browser, system)
    fill_in(page, who)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    for address in each_page(page, pages):
        # What asks again just when it is come by cannot be pressed then: one more time round.
        for _ in range(ROUNDS):
            tab_round(page, address)
            missed = page.locator(REACHABLE).evaluate_all(MISSED)
            if not missed:
                break
        assert missed == [], address


def test_a_dialog_keeps_the_focus_and_gives_it_back(
    system: System, browser: Browser, who: Person
) -> None:
    page = open_console(browser, system, path="/account")
    fill_in(page, who)
    opener = page.get_by_role("button", name="Set up second factor")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Your password")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        # Between the last and the first the browser's own controls have it.
        inside = (
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_who_wants_no_motion_sees_little_of_it(
    system: System, browser: Browser, who: Person
) -> None:
    page = open_console(browser, system, reduced_motion="reduce")
    page.route("**/api/auth/login", lambda _: None)
    fill_in(page, who)
    spinner = page.locator(".spinner")
    expect(spinner).to_be_visible()
    durations = page.evaluate(
        "document.getAnimations().map((each) => each.effect.getTiming().duration)"
    )
    assert min(durations) >= 4000


def test_twice_as_large_letters_fit(
    system: System, browser: Browser, who: Person, pages: dict[str, str]
) -> None:
    """WCAG 1.4.4: a desk at 200 % is as wide as half of it."""
    page = open_console(browser, system, {"width": 640, "height": 450}, device_scale_factor=2)
    fill_in(page, who)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    for _ in each_page(page, pages):
        assert fits(page)
