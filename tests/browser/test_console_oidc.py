"""Signing in to the console with a real OpenID Connect provider."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from lab.stack import Ports
from tests.browser.conftest import complaints, open_console, person, serious, sign_in, watch
from tests.integration.conftest import ACCOUNT, System, running
from tests.integration.oidc.provider import Provider

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, Provider]]:
    """A system that knows a provider, and the provider."""
    folder: Path = tmp_path_factory.mktemp("organisation")
    ports = Ports.free()
    home = f"http://127.0.0.1:{ports.public}/console/"
    with Provider(folder / "provider", home) as provider:
        settings = {
            "F2H_AUTH_OIDC_ISSUER": provider.issuer,
            "F2H_AUTH_OIDC_CLIENT_ID": provider.client_id,
            "F2H_AUTH_OIDC_CLIENT_SECRET": provider.client_secret,
        }
        with running(folder, settings, ports) as system:
            form = {"account": ACCOUNT, "email": EMAIL, "role": "OWNER"}
            assert system.noc("POST", "/api/noc/users", json=form).is_success
            yield system, provider


@pytest.fixture
def known(organisation: tuple[System, Provider]) -> System:
    return organisation[0]


def leave(page: Page) -> None:
    """Goes to the provider."""
    page.get_by_role("button", name="Sign in with your organisation").click()
    expect(page.locator("input[name=login]")).to_be_visible()


def be(page: Page, email: str) -> None:
    """Signs in at the provider and agrees to be sent back."""
    page.locator("input[name=login]").fill(email)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


def nothing_is_left_of_it(page: Page) -> None:
    assert urlsplit(page.url).query == ""
    assert page.evaluate("[...Object.keys(sessionStorage), ...Object.keys(localStorage)]") == []


def test_who_signs_in_there_comes_to_the_page_that_was_wanted(
    known: System, browser: Browser
) -> None:
    page = open_console(browser, known, path="/audit?outcome=ACCEPTED")
    seen = watch(page)
    leave(page)
    assert page.evaluate("location.hash") == ""
    be(page, EMAIL)
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    expect(page.get_by_role("group")).to_contain_text("Done")
    nothing_is_left_of_it(page)
    first = page.get_by_role("main").get_by_role("listitem").first
    expect(first).to_contain_text("Sign in with the organisation")
    # Going back leads to no page that would send the code again.
    codes = [url for url in seen.requests if "code=" in url]
    assert len(codes) == 1
    assert [each for each in complaints(seen) if known.stack.url in each] == []


def test_who_is_nobody_here_is_told_so_and_can_try_otherwise(
    known: System, browser: Browser
) -> None:
    page = open_console(browser, known)
    leave(page)
    be(page, "nobody@example.com")
    expect(page.get_by_role("alert")).to_contain_text("nobody here has your address")
    nothing_is_left_of_it(page)
    assert serious(page) == []
    who = person(known)
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill(who.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()


def test_who_cancels_there_is_told_so(known: System, browser: Browser) -> None:
    page = open_console(browser, known)
    leave(page)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("you cancelled there")
    expect(page.get_by_label("Password")).to_be_visible()
    nothing_is_left_of_it(page)


@pytest.mark.parametrize("query", ["code=x&state=y", "code=&state="])
def test_what_was_not_begun_in_this_tab_is_not_finished_in_it(
    known: System, browser: Browser, query: str
) -> None:
    """A link with somebody else's code would sign its reader in as somebody else."""
    page = open_console(browser, known)
    seen = watch(page)
    page.goto(f"{known.stack.url}/console/?{query}")
    expect(page.get_by_role("alert")).to_contain_text("not begun in this tab")
    nothing_is_left_of_it(page)
    assert not [url for url in seen.requests if "/api/auth/oidc/" in url]


def test_no_text_of_a_link_is_shown(known: System, browser: Browser) -> None:
    page = open_console(browser, known)
    page.goto(f"{known.stack.url}/console/?error=x&error_description=Call+5550100+now")
    expect(page.get_by_role("alert")).to_contain_text("could not sign you in")
    assert "5550100" not in page.content()


def test_a_link_of_somebody_does_not_touch_who_is_signed_in(
    known: System, browser: Browser
) -> None:
    page = sign_in(browser, known, person(known))
    page.goto(f"{known.stack.url}/console/?code=x&state=y")
    expect(page.get_by_role("heading", name="Servers")).to_be_visible()
    nothing_is_left_of_it(page)


def test_a_provider_that_is_away_is_said_to_be(
    organisation: tuple[System, Provider], browser: Browser
) -> None:
    system, provider = organisation
    page = open_console(browser, system)
    leave(page)
    page.locator("input[name=login]").fill(EMAIL)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    agree = page.get_by_role("button", name="Continue")
    expect(agree).to_be_visible()
    # It sends the browser back, and does not answer the API that asks it then.

    def stop_first(route: Route) -> None:
        provider.stop()
        route.continue_()

    page.route("**/api/auth/oidc/login", stop_first)
    try:
        agree.click()
        expect(page.get_by_role("alert")).to_contain_text("DEPENDENCY_UNAVAILABLE")
        expect(page.get_by_label("Password")).to_be_visible()
    finally:
        provider.start()


def test_without_a_provider_nothing_is_said_of_one(system: System, browser: Browser) -> None:
    page = open_console(browser, system)
    with page.expect_response("**/api/auth/options") as answered:
        page.reload()
    assert answered.value.ok
    expect(page.get_by_label("Password")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("button", name="organisation")).to_be_hidden()
