"""Signing in to the console, and out of it."""

from playwright.sync_api import Browser, expect

from tests.browser.conftest import complaints, fill_in, open_console, person, sign_in, watch
from tests.integration.conftest import System


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


def test_a_wrong_password_is_told_and_the_address_stays(system: System, browser: Browser) -> None:
    who = person(system)
    page = open_console(browser, system)
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill("not it at all")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is not right")
    expect(page.get_by_label("E-mail address")).to_have_value(who.email)


def test_after_signing_out_nothing_of_the_account_is_there(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc())
    page = sign_in(browser, system, person(system))
    expect(page.get_by_text(hostname)).to_be_visible()
    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert hostname not in page.content()
