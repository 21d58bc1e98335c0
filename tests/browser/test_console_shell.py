"""What stands around every page of the console, and what it does when something does not work."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import (
    PHONE,
    SECONDS,
    complaints,
    fill_in,
    hold,
    open_console,
    person,
    sign_in,
    watch,
)
from tests.integration.conftest import System, eventually


def api_is_cut(page: Page) -> None:
    page.route("**/api/**", lambda route: route.abort())


def api_is_back(page: Page) -> None:
    page.unroute("**/api/**")


def told(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="The API did not answer")


def test_each_page_is_a_step_back_and_tells_where_one_is(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system))
    seen = watch(page)
    for place in ("API keys", "Audit", "Account"):
        link = page.get_by_role("link", name=place)
        link.click()
        heading = page.get_by_role("heading", name=place, level=1)
        expect(heading).to_be_focused()
        expect(link).to_have_attribute("aria-current", "page")
        expect(page).to_have_title(re.compile(f"^{place} · "))
    page.go_back()
    expect(page.get_by_role("heading", name="Audit", level=1)).to_be_focused()
    assert complaints(seen) == []


def test_by_keyboard_one_skips_what_is_on_every_page(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system))
    page.reload()
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_on_a_phone_the_places_are_at_the_bottom(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system), PHONE)
    for link in page.get_by_role("navigation").get_by_role("link").all():
        box = link.bounding_box()
        assert box is not None
        assert box["y"] > PHONE["height"] - 80
        assert box["height"] >= 44, "a thumb is that wide"
        assert box["width"] >= 44


def test_the_documentation_is_one_click_away(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system))
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Docs").click()
    expect(opened.value.get_by_text("Customer Reboot Server")).to_be_visible()


def test_an_address_that_is_none_leads_home(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system))
    page.goto(f"{system.stack.url}/console/#/nothing/here")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="To your servers").click()
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()


def test_a_mistake_in_one_page_leaves_the_others(system: System, browser: Browser) -> None:
    page = open_console(browser, system, path="/nothing")
    fill_in(page, person(system))
    expect(page.get_by_role("navigation")).to_be_visible()
    # What the page of the account needs of the browser.
    needed = "Intl.RelativeTimeFormat.prototype"
    page.evaluate(f"() => {{ {needed}.format = () => {{ throw Error('a mistake') }} }}")
    seen = watch(page)
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on this page")
    assert any("a mistake" in each for each in seen.complaints)
    page.go_back()
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.evaluate(f"() => {{ {needed}.format = () => 'then' }}")
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_role("heading", name="Account")).to_be_visible()


def test_when_the_api_is_down_that_is_told_with_what_was_known_until_it_is_back(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc())
    page = sign_in(browser, system, person(system))
    expect(page.get_by_text(hostname)).to_be_visible()
    page.get_by_role("link", name="Account").click()
    page.clock.install()
    api_is_cut(page)
    page.get_by_role("link", name="Servers").click()
    expect(page.get_by_text(hostname)).to_be_visible()
    page.clock.fast_forward(5_000)  # what was asked for is taken for fresh until then
    page.get_by_role("link", name="Account").click()
    page.get_by_role("link", name="Servers").click()
    run_until(page, told(page))
    expect(page.get_by_text("What you see below is from before")).to_be_visible()
    expect(page.get_by_text(hostname)).to_be_visible()
    api_is_back(page)
    run_until(page, told(page), gone=True)
    expect(page.get_by_text(hostname)).to_be_visible()


def run_until(page: Page, place: Locator, *, gone: bool = False) -> None:
    """Lets the page's time pass until something is there, or not any more."""

    def as_wanted() -> bool:
        page.clock.run_for(1_000)
        return place.is_hidden() == gone

    eventually(as_wanted, SECONDS)


def test_a_page_that_was_never_loaded_comes_when_the_api_is_back(
    system: System, browser: Browser
) -> None:
    page = sign_in(browser, system, person(system))
    page.clock.install()
    # Its time stands still, so that it asks when it is told to, and not by itself.
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    api_is_cut(page)
    page.get_by_role("link", name="Audit").click()
    run_until(page, told(page))
    again = page.get_by_role("button", name="Try again")
    again.click()
    run_until(page, page.locator("button[aria-busy=true]", has_text="Try again"))
    expect(told(page)).to_be_visible()
    run_until(page, page.locator("button[aria-busy=false]", has_text="Try again"))
    api_is_back(page)
    again.click()
    run_until(page, told(page), gone=True)
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


def test_the_console_begins_when_the_api_is_back(system: System, browser: Browser) -> None:
    page = open_console(browser, system)
    api_is_cut(page)
    page.reload()
    expect(told(page)).to_be_visible()
    api_is_back(page)
    # By itself: nobody touches it.
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_browser_without_a_network_says_so_and_goes_on_with_it(
    system: System, browser: Browser
) -> None:
    page = sign_in(browser, system, person(system))
    page.context.set_offline(offline=True)
    page.get_by_role("link", name="Audit").click()
    expect(told(page)).to_contain_text("Your connection may be down")
    page.context.set_offline(offline=False)
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()


@pytest.mark.parametrize("place", ["Servers", "Audit"])
def test_while_the_api_thinks_that_is_shown(system: System, browser: Browser, place: str) -> None:
    page = sign_in(browser, system, person(system))
    page.get_by_role("link", name="Account").click()
    held = hold(page, re.compile(r"/api/(servers|audit)\b"))
    page.reload()
    page.get_by_role("link", name=place).click()
    waiting = page.get_by_role("status").filter(has_text="Loading")
    expect(waiting).to_be_visible()
    held.release()
    expect(waiting).to_be_hidden()


def test_a_sign_in_that_takes_long_is_sent_once(system: System, browser: Browser) -> None:
    page = open_console(browser, system)
    held = hold(page, re.compile("/api/auth/login"))
    fill_in(page, person(system))
    button = page.get_by_role("button", name="Sign in", exact=True)
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("aria-busy", "true")
    page.get_by_label("Password").press("Enter")
    held.release()
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()
    assert len(held.routes) == 1
