"""Sessions that end while somebody works, and more than one tab."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    Person,
    complaints,
    end_sessions,
    fill_in,
    person,
    sign_in,
    watch,
)
from tests.integration.conftest import System

FRESH = "a quite different passphrase"
MINUTE_MS = 60_000


def go(page: Page, place: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=place).click()
    expect(page.get_by_role("heading", name=place, level=1)).to_be_visible()


def begin_to_change_password(page: Page, who: Person) -> None:
    go(page, "Account")
    page.get_by_label("Present password").fill(who.password)
    page.get_by_label("New password").fill(FRESH)


def change_password(page: Page) -> None:
    page.get_by_role("button", name="Change password").click()


def sign_in_again(page: Page, who: Person) -> None:
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    dialog.get_by_label("E-mail address").fill(who.email)
    dialog.get_by_label("Password").fill(who.password)
    dialog.get_by_role("button", name="Sign in", exact=True).click()
    expect(dialog).to_be_hidden()


def test_what_was_typed_outlives_the_session_and_can_be_sent_again(
    system: System, browser: Browser
) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    seen = watch(page)
    begin_to_change_password(page, who)
    end_sessions(system, who)
    change_password(page)
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog.get_by_label("E-mail address")).to_have_value(who.email)
    expect(dialog.get_by_label("Password")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    sign_in_again(page, who)
    expect(page.get_by_label("New password")).to_have_value(FRESH)
    change_password(page)
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    assert complaints(seen) == []
    sign_in(browser, system, Person(who.email, FRESH))


def test_what_the_api_refused_meanwhile_is_asked_again(system: System, browser: Browser) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    end_sessions(system, who)
    go(page, "Audit")
    sign_in_again(page, who)
    records = page.get_by_role("main").get_by_role("listitem")
    expect(records.filter(has_text="Sign in").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_of_one_nothing_is_left_when_another_signs_in_instead(
    system: System, browser: Browser
) -> None:
    who, other = person(system), person(system, account="other")
    hostname = system.server(system.bmc())
    theirs = system.server(system.bmc(), account="other")
    page = sign_in(browser, system, who)
    expect(page.get_by_text(hostname)).to_be_visible()
    begin_to_change_password(page, who)
    end_sessions(system, who)
    change_password(page)
    sign_in_again(page, other)
    expect(page.get_by_text(other.email)).to_be_visible()
    expect(page.get_by_label("New password")).to_have_value("")
    go(page, "Servers")
    expect(page.get_by_text(theirs)).to_be_visible()
    assert hostname not in page.content()
    assert who.email not in page.content()


def test_the_tabs_of_a_browser_are_signed_in_as_the_same(system: System, browser: Browser) -> None:
    who, other = person(system), person(system, account="other")
    hostname = system.server(system.bmc())
    page = sign_in(browser, system, who)
    expect(page.get_by_text(hostname)).to_be_visible()
    tab = page.context.new_page()
    tab.goto(f"{system.stack.url}/console#/account")
    tab.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert hostname not in page.content()
    fill_in(tab, other)
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()
    go(page, "Account")
    expect(page.get_by_text(other.email)).to_be_visible()


def test_who_signed_in_elsewhere_as_somebody_else_is_that_one_on_coming_back(
    system: System, browser: Browser
) -> None:
    who, other = person(system), person(system, account="other")
    hostname = system.server(system.bmc())
    page = sign_in(browser, system, who)
    expect(page.get_by_text(hostname)).to_be_visible()
    # As at /docs, where nobody tells the other tabs.
    form = {"email": other.email, "password": other.password}
    answer = page.request.post(f"{system.stack.url}/api/auth/login", data=form)
    assert answer.ok, answer.text()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_text(hostname)).to_be_hidden()
    go(page, "Account")
    expect(page.get_by_text(other.email)).to_be_visible()
    assert who.email not in page.content()


def test_a_session_that_ended_meanwhile_is_told_on_coming_back_and_hides_the_page(
    system: System, browser: Browser
) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    begin_to_change_password(page, who)
    end_sessions(system, who)
    page.evaluate("dispatchEvent(new Event('focus'))")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    behind = "getComputedStyle(document.querySelector('dialog'), '::backdrop').backgroundColor"
    assert page.evaluate(behind) == page.evaluate("getComputedStyle(document.body).backgroundColor")
    sign_in_again(page, who)
    expect(page.get_by_label("New password")).to_have_value(FRESH)


def test_signing_in_again_in_one_tab_is_enough(system: System, browser: Browser) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    begin_to_change_password(page, who)
    tab = page.context.new_page()
    tab.goto(f"{system.stack.url}/console")
    expect(tab.get_by_role("heading", name="Servers")).to_be_visible()
    end_sessions(system, who)
    change_password(page)
    expect(page.get_by_role("dialog")).to_be_visible()
    go(tab, "Audit")
    sign_in_again(tab, who)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_label("New password")).to_have_value(FRESH)


def test_signing_out_everywhere_ends_what_is_open_elsewhere(
    system: System, browser: Browser
) -> None:
    who = person(system)
    elsewhere = sign_in(browser, system, who)
    page = sign_in(browser, system, who)
    go(page, "Account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    go(elsewhere, "Audit")
    expect(elsewhere.get_by_role("dialog", name="Your session has ended")).to_be_visible()


def test_who_signs_out_of_a_session_that_has_ended_is_signed_out(
    system: System, browser: Browser
) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    go(page, "Account")
    end_sessions(system, who)
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()


COUNT = """
  const ask = window.fetch;
  window.asked = 0;
  window.fetch = (...call) => { window.asked += 1; return ask(...call); };
"""
"""Counts the calls of a page."""


def asked_within(page: Page, minutes: int) -> int:
    """How many calls the page makes in so many minutes of its time."""
    before = page.evaluate("asked")
    page.clock.run_for(minutes * MINUTE_MS)
    return int(page.evaluate("asked")) - int(before)


def test_a_page_that_was_left_alone_does_not_keep_its_session(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc())
    page = browser.new_context().new_page()
    page.add_init_script(COUNT)
    page.clock.install()
    page.goto(f"{system.stack.url}/console")
    fill_in(page, person(system))
    expect(page.get_by_text(hostname)).to_be_visible()
    assert asked_within(page, 2) > 0, "while somebody is there it asks by itself"
    page.clock.fast_forward(31 * MINUTE_MS)
    assert asked_within(page, 10) == 0
    page.mouse.move(100, 100)
    assert asked_within(page, 2) > 0, "and it goes on as soon as somebody is there again"
