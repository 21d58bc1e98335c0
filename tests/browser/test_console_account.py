"""What a person does about the own user in the console."""

import io
import time
from typing import Any

import pyotp
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    DESK,
    PHONE,
    Person,
    call,
    complaints,
    fill_in,
    person,
    sign_in,
    watch,
)
from tests.integration.conftest import ACCOUNT, System

FRESH = "a quite different passphrase"


def open_account(page: Page) -> None:
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_role("heading", name="Account")).to_be_visible()


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("READ_ONLY", "Look, and change nothing of the account"),
        ("MEMBER", "Look, and change what belongs to the account"),
        ("OWNER", "Do everything, as an owner of the account"),
    ],
)
def test_it_says_who_is_signed_in_and_what_that_is_good_for(
    system: System, browser: Browser, role: str, words: str
) -> None:
    who = person(system, role)
    page = sign_in(browser, system, who)
    open_account(page)
    you = page.get_by_role("region", name="You")
    for fact in (who.email, ACCOUNT, words, "30 minutes without a call"):
        expect(you.get_by_text(fact)).to_be_visible()


def test_a_password_is_changed_and_what_is_wrong_is_told_at_its_field(
    system: System, browser: Browser
) -> None:
    who = person(system)
    page = sign_in(browser, system, who)
    open_account(page)
    change = page.get_by_role("button", name="Change password")
    present, fresh = page.get_by_label("Present password"), page.get_by_label("New password")

    present.fill(who.password)
    fresh.fill("🔑🔑🔑🔑🔑🔑")  # 12 UTF-16 units, 6 characters
    change.click()
    expect(fresh).to_have_accessible_description(
        "This has fewer than 12 characters. 12 characters or more. Several words are good."
    )
    expect(fresh).to_have_attribute("aria-invalid", "true")

    present.fill("not it at all")
    fresh.fill(FRESH)
    change.click()
    expect(present).to_have_accessible_description("This is not your password.")
    expect(fresh).to_have_attribute("aria-invalid", "false")

    present.fill(who.password)
    change.click()
    expect(page.get_by_text("Your password is changed")).to_be_visible()
    expect(present).to_have_value("")
    expect(fresh).to_have_value("")
    sign_in(browser, system, Person(who.email, FRESH))


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_second_factor_is_set_up_used_and_removed(
    system: System, browser: Browser, size: Any
) -> None:
    who = person(system)
    context = browser.new_context(viewport=size, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{system.stack.url}/console#/account")
    fill_in(page, who)
    seen = watch(page)
    page.get_by_role("button", name="Set up second factor").click()
    page.get_by_label("Your password").fill("not it at all")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not your password")).to_be_visible()
    page.get_by_label("Your password").fill(who.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")
    totp = pyotp.TOTP(secret)
    code = page.get_by_label("The code that it shows now")
    code.fill("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not the code of this moment")).to_be_visible()
    # As authenticators show it.
    now = totp.now()
    code.fill(f"{now[:3]} {now[3:]}")
    page.keyboard.press("Enter")
    codes = page.get_by_role("dialog", name="Recovery codes")
    expect(codes.get_by_role("listitem")).to_have_count(10)
    page.keyboard.press("Escape")
    expect(codes).to_be_visible()
    codes.get_by_role("button", name="Copy codes").click()
    expect(codes.get_by_role("button", name="Copied")).to_be_visible()
    recovery = page.evaluate("navigator.clipboard.readText()").split()
    assert recovery == codes.get_by_role("listitem").all_inner_texts()
    codes.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("Signing in takes a code")).to_be_visible()
    for gone in (secret, *recovery):
        assert gone not in page.content()
    told = ("401", "400")  # a wrong password, a wrong code
    assert [each for each in complaints(seen) if not any(one in each for one in told)] == []

    remove_with_recovery_code(page, who, recovery)
    expect(page.get_by_role("button", name="Set up second factor")).to_be_visible()
    assert call(system, who, "GET", "/api/auth/me")["user"]["second_factor"] is False


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk, light", "phone, dark"]
)
def test_what_a_camera_reads_of_the_qr_code_signs_in(
    system: System, browser: Browser, size: Any, scheme: Any
) -> None:
    who = person(system)
    page = sign_in(browser, system, who, size, color_scheme=scheme)
    open_account(page)
    page.get_by_role("button", name="Set up second factor").click()
    page.get_by_label("Your password").fill(who.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    page.get_by_role("img", name="QR code").scroll_into_view_if_needed()
    [read] = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot())))
    assert read.format == zxingcpp.BarcodeFormat.QRCode
    totp = pyotp.parse_uri(read.text)
    assert isinstance(totp, pyotp.TOTP)
    # An authenticator shows both, to tell its codes apart.
    assert (totp.issuer, totp.name) == ("F2HCloud", who.email)
    page.get_by_label("The code that it shows now").fill(totp.now())
    page.keyboard.press("Enter")
    page.get_by_role("button", name="I have kept them").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    fill_in(page, who)
    # The code of this moment was used already, and none is good twice.
    page.get_by_label("Code from your authenticator").fill(
        totp.at(int(time.time()) + totp.interval)
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Account")).to_be_visible()


def remove_with_recovery_code(page: Page, who: Person, recovery: list[str]) -> None:
    """After signing in anew with one of them, which is used up by that."""
    page.get_by_role("button", name="Sign out", exact=True).click()
    fill_in(page, who)
    page.get_by_label("Code from your authenticator").fill(recovery[0])
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove second factor").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your password").fill(who.password)
    dialog.get_by_label("Code").fill(recovery[0])
    dialog.get_by_role("button", name="Remove second factor").click()
    expect(dialog.get_by_role("alert")).to_contain_text("A code can be used only once")
    dialog.get_by_label("Code").fill(recovery[1])
    dialog.get_by_role("button", name="Remove second factor").click()
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_are_the_systems_unless_chosen_and_stay_so(
    system: System, browser: Browser, scheme: str
) -> None:
    page = sign_in(browser, system, person(system), color_scheme=scheme)
    open_account(page)

    def back() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    systems = back()
    other = "Dark" if scheme == "light" else "Light"
    page.get_by_label(other).check()
    chosen = back()
    assert chosen != systems
    page.reload()
    expect(page.get_by_label(other)).to_be_checked()
    assert back() == chosen
    page.get_by_label("As the system").check()
    assert back() == systems
