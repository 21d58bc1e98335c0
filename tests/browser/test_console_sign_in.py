"""Signing in to the console, and out of it."""

import time

import pyotp
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    Person,
    call,
    complaints,
    fill_in,
    open_console,
    person,
    sign_in,
    watch,
)
from tests.integration.conftest import System, eventually


def test_who_signs_in_sees_the_servers_and_asks_no_other_host(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc())
    page = open_console(browser, system)
    seen = watch(page)
    page.reload()
    fill_in(page, person(system))
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()
    expect(page.get_by_text(hostname)).to_be_visible()
    assert seen.hosts() == {f"127.0.0.1:{system.stack.ports.public}"}
    assert complaints(seen) == []


def test_a_link_leads_to_its_page_after_signing_in(system: System, browser: Browser) -> None:
    page = open_console(browser, system, path="/audit?outcome=REFUSED")
    fill_in(page, person(system))
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    expect(page.get_by_text("Filter Refused")).to_be_visible()


def test_a_wrong_password_is_told_and_the_address_stays(system: System, browser: Browser) -> None:
    who = person(system)
    page = open_console(browser, system)
    fill_in(page, Person(who.email, "not it at all"))
    expect(page.get_by_role("alert")).to_contain_text("is not right")
    expect(page.get_by_label("E-mail address")).to_have_value(who.email)


def test_a_password_can_be_looked_at_while_it_is_typed(system: System, browser: Browser) -> None:
    page = open_console(browser, system)
    field = page.get_by_label("Password")
    field.fill("what is typed")
    expect(field).to_have_attribute("type", "password")
    show = page.get_by_role("button", name="Show")
    show.click()
    expect(field).to_have_attribute("type", "text")
    expect(show).to_have_attribute("aria-pressed", "true")
    show.click()
    expect(field).to_have_attribute("type", "password")


WATCH_THE_WAIT = """() => {
  const waits = (button) => button.disabled && button.textContent.startsWith("Try again in ");
  const whatever = { attributes: true, characterData: true, childList: true, subtree: true };
  new MutationObserver(() => {
    window.waited ||= [...document.querySelectorAll("button")].some(waits);
  }).observe(document.body, whatever);
}"""


def test_who_guesses_is_told_how_long_to_wait_and_then_let_try(
    system: System, browser: Browser
) -> None:
    who = person(system)
    page = open_console(browser, system)
    page.evaluate(WATCH_THE_WAIT)
    # Of a slow machine's guesses some are forgotten meanwhile.
    for _ in range(40):
        with page.expect_response("**/api/auth/login") as answered:
            fill_in(page, Person(who.email, "not it at all"))
        if answered.value.status == 429:
            break
    expect(page.get_by_role("alert")).to_contain_text("Too many attempts")
    # The wait may be over before it is looked for.
    eventually(lambda: page.evaluate("window.waited"))
    fill_in(page, who)  # waits until the button is that of signing in again
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()


def with_second_factor(system: System, who: Person) -> tuple[pyotp.TOTP, list[str]]:
    """Sets a second factor up; its codes, and those for recovery."""
    secret = call(system, who, "POST", "/api/auth/second_factor", password=who.password)["secret"]
    totp = pyotp.TOTP(secret)
    confirmed = call(system, who, "POST", "/api/auth/second_factor/confirm", code=totp.now())
    return totp, list(confirmed["recovery_codes"])


def show_code(page: Page, code: str) -> None:
    field = page.get_by_label("Code from your authenticator")
    expect(field).to_be_focused()
    field.fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_code_is_asked_for_where_a_second_factor_is_set_up(
    system: System, browser: Browser
) -> None:
    who = person(system)
    totp, [recovery, *_] = with_second_factor(system, who)
    page = open_console(browser, system)
    expect(page.get_by_label("Code from your authenticator")).to_be_hidden()
    fill_in(page, who)
    # A code is good once, also the one that it was set up with: this is the next.
    show_code(page, totp.at(int(time.time()) + totp.interval))
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()

    other = open_console(browser, system)
    fill_in(other, who)
    show_code(other, "000000")
    expect(other.get_by_role("alert")).to_contain_text("is not right")
    other.get_by_label("Code from your authenticator").fill(recovery)
    other.get_by_role("button", name="Sign in", exact=True).click()
    expect(other.get_by_role("heading", name="Servers")).to_be_visible()


def test_after_signing_out_nothing_of_the_account_is_there(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc())
    page = sign_in(browser, system, person(system))
    expect(page.get_by_text(hostname)).to_be_visible()
    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert hostname not in page.content()
