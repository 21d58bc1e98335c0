"""The audit trail in the console."""

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import (
    PHONE,
    Person,
    call,
    complaints,
    open_console,
    person,
    sign_in,
    watch,
)
from tests.integration.conftest import Key, System

US_UNBLOCK = "antihack.us_unblock"
PAGE = 100
"""So many records come at once."""


def records(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("listitem")


def open_audit(page: Page) -> None:
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


def exported(page: Page, folder: Path) -> list[dict[str, str]]:
    """What is shown, as the file that the console makes of it."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert download.value.suggested_filename.startswith("audit-")
    download.value.save_as(folder / "audit.csv")
    with (folder / "audit.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reboot(system: System, hostname: str, key: Key) -> int:
    return system.rest("POST", f"/api/servers/{hostname}/reboot", key).status_code


@pytest.fixture
def account(system: System, request: pytest.FixtureRequest) -> str:
    """An account of this test's own."""
    name = f"audited-{next(system.numbers)}"
    system.account(name)
    return name


@pytest.fixture
def who(system: System, account: str) -> Person:
    return person(system, account=account)


@pytest.fixture
def rebooted(system: System, account: str) -> tuple[str, Key]:
    """A server that is being rebooted with a key, and that key."""
    hostname = system.server(system.bmc(), account=account)
    key = system.key(hostname, account=account, label="nightly job")
    assert reboot(system, hostname, key) == 200
    return hostname, key


def test_what_was_done_and_refused_is_told_in_words(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    hostname, key = rebooted
    assert reboot(system, "another.example.net", key) == 403
    page = sign_in(browser, system, who)
    seen = watch(page)
    open_audit(page)
    mine, refused, done, *_ = (records(page).nth(place) for place in range(4))
    expect(mine).to_contain_text("Sign in")
    expect(mine).to_contain_text("You from 127.0.0.1")
    expect(mine).to_contain_text("Done")
    expect(refused).to_contain_text("Reboot server · another.example.net")
    expect(refused).to_contain_text("Refused SERVER_NOT_GRANTED")
    expect(done).to_contain_text(f"Reboot server · {hostname}")
    expect(done).to_contain_text("Key nightly job from 127.0.0.1")
    expect(done).to_contain_text("Accepted")
    expect(done).to_contain_text("operation")
    expect(records(page).filter(has_text="Create API key")).to_contain_text("F2HCloud staff")
    assert complaints(seen) == []


def test_a_colleague_is_named_by_the_address_also_after_they_left(
    system: System, browser: Browser, account: str, who: Person, rebooted: tuple[str, Key]
) -> None:
    colleague = person(system, "MEMBER", account)
    me = call(system, colleague, "GET", "/api/auth/me")["user"]["id"]
    call(system, colleague, "POST", "/api/keys", label="theirs", capabilities=[US_UNBLOCK])
    page = sign_in(browser, system, who)
    open_audit(page)
    made = records(page).filter(has_text="label theirs")
    expect(made).to_contain_text(f"{colleague.email} from 127.0.0.1")
    assert system.noc("DELETE", f"/api/noc/users/{me}").status_code == 200
    page.reload()
    expect(made).to_contain_text(f"{colleague.email} from 127.0.0.1")


def test_what_was_unbanned_is_told(
    system: System, browser: Browser, account: str, who: Person
) -> None:
    hostname = system.server(system.bmc(), account=account)
    key = system.key(hostname, account=account, capabilities=["antihack.unban"])
    unban = {"ip": "192.0.2.66", "jail": "sshd-203.0.113.9"}
    system.rest("POST", f"/api/servers/{hostname}/antihack/unban", key, json=unban)
    page = sign_in(browser, system, who)
    open_audit(page)
    record = records(page).filter(has_text=f"Unban address · {hostname}")
    expect(record.get_by_role("term")).to_have_text(["address", "jail"])
    expect(record.get_by_role("definition")).to_have_text(["192.0.2.66", "sshd-203.0.113.9"])


def test_a_label_does_not_pass_for_a_network_and_an_emptied_list_is_told(
    system: System, browser: Browser, who: Person, tmp_path: Path
) -> None:
    label = 'ci · networks 10.0.0.1/32; "networks": "10.0.0.1/32"'
    made = call(system, who, "POST", "/api/keys", label=label, capabilities=[US_UNBLOCK])
    path = f"/api/keys/{made['key']['id']}"
    call(system, who, "PATCH", path, update_mask="cidrs")
    page = sign_in(browser, system, who)
    open_audit(page)
    created = records(page).filter(has_text="Create API key")
    expect(created.get_by_role("term")).to_have_text(["capabilities", "label"])
    expect(created.get_by_role("definition")).to_have_text([US_UNBLOCK, label])
    changed = records(page).filter(has_text="Change API key")
    expect(changed.get_by_role("term")).to_have_text(["networks"])
    expect(changed.get_by_role("definition")).to_have_text(["none"])
    details = {row["method"]: json.loads(row["details"]) for row in exported(page, tmp_path)}
    assert details["Create API key"] == {"capabilities": US_UNBLOCK, "label": label}
    assert details["Change API key"] == {"cidrs": ""}
    assert details["Sign in"] == {}


def test_a_record_leads_to_the_operation_that_it_began(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    hostname, key = rebooted
    path = f"/api/servers/{hostname}/operations"
    [operation] = system.rest("GET", path, key).json()["operations"]
    system.finished(operation["name"], key)
    page = sign_in(browser, system, who)
    seen = watch(page)
    open_audit(page)
    records(page).filter(has_text=f"Reboot server · {hostname}").get_by_role(
        "link", name=operation["name"].partition("/")[2]
    ).click()
    expect(page.get_by_role("heading", name=hostname, level=1)).to_be_visible()
    shown = page.get_by_role("region", name="The operation that you came for")
    expect(shown).to_contain_text("by Key nightly job")
    expect(shown).to_contain_text("The machine was seen to restart")
    page.get_by_role("button", name="Hide").click()
    expect(shown).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    assert complaints(seen) == []


def test_what_is_no_operation_is_asked_of_nobody(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    hostname, _ = rebooted
    page = sign_in(browser, system, who)
    seen = watch(page)
    console = f"{system.stack.url}/console/#"
    page.goto(f"{console}/operations/..%2Fauth%2Fme")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.goto(f"{console}/servers/{hostname}?operation=auth/me")
    expect(page.get_by_role("heading", name=hostname, level=1)).to_be_visible()
    expect(page.get_by_role("region", name="State")).to_be_visible()
    expect(page.get_by_role("region", name="The operation that you came for")).to_have_count(0)
    assert not [url for url in seen.requests if "auth/me/watch" in url or "..%2F" in url]


def test_who_failed_to_sign_in_is_not_said_to_be_its_person(
    system: System, browser: Browser, who: Person
) -> None:
    page = open_console(browser, system)
    page.get_by_label("E-mail address").fill(who.email)
    page.get_by_label("Password").fill("not it at all")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    page = sign_in(browser, system, who)
    open_audit(page)
    failed = records(page).filter(has_text="SIGN_IN_FAILED")
    expect(failed).to_contain_text(f"Not signed in, as {who.email}")


def test_a_filter_stands_in_the_address_and_goes_with_it(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    _, key = rebooted
    assert reboot(system, "another.example.net", key) == 403
    page = sign_in(browser, system, who, PHONE)
    open_audit(page)
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("What", exact=True).select_option("Reboot server")
    page.get_by_label("Outcome").select_option("Refused")
    page.get_by_label("Who").fill(key.id)
    page.get_by_label("From").fill("2020-01-02T03:04")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(records(page)).to_have_count(1)
    expect(records(page)).to_contain_text("another.example.net")

    # The same address in another browser, after signing in there.
    link = page.url.partition("#")[2]
    other = open_console(browser, system, path=link)
    other.get_by_label("E-mail address").fill(who.email)
    other.get_by_label("Password").fill(who.password)
    other.keyboard.press("Enter")
    expect(records(other)).to_have_count(1)
    expect(other.get_by_role("group")).to_contain_text("Reboot server · Refused · from Jan 2, 2020")

    page.get_by_role("button", name="Show all").click()
    expect(records(page).filter(has_text="Sign in").first).to_be_visible()
    page.go_back()
    expect(records(page)).to_have_count(1)
    expect(page.get_by_label("Who")).to_have_value(key.id)


def test_a_click_narrows_down_to_one_thing(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    hostname, _ = rebooted
    page = sign_in(browser, system, who)
    open_audit(page)
    page.get_by_role("link", name=hostname).first.click()
    expect(records(page).filter(has_text="Sign in")).to_have_count(0)
    expect(records(page).first).to_contain_text(hostname)
    for record in records(page).all():
        expect(record).to_contain_text(hostname)


def test_older_records_come_when_they_are_asked_for(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key]
) -> None:
    hostname, key = rebooted
    for _ in range(PAGE):
        assert reboot(system, "another.example.net", key) == 403
    page = sign_in(browser, system, who)
    open_audit(page)
    expect(records(page)).to_have_count(PAGE)
    oldest = records(page).filter(has_text=f"Reboot server · {hostname}")
    expect(oldest).to_have_count(0)
    page.get_by_role("button", name="Load older records").click()
    expect(oldest).to_have_count(1)
    expect(page.get_by_text("These are all records")).to_be_visible()


def test_what_is_shown_can_be_kept_and_no_spreadsheet_runs_it(
    system: System, browser: Browser, who: Person, rebooted: tuple[str, Key], tmp_path: Path
) -> None:
    hostname, key = rebooted
    formula = '=HYPERLINK("x")'
    answer = system.rest("POST", "/api/servers/%3DHYPERLINK(%22x%22)/reboot", key)
    assert answer.status_code == 400, answer.text
    page = sign_in(browser, system, who)
    open_audit(page)
    expect(records(page).filter(has_text=formula)).to_be_visible()
    rows = exported(page, tmp_path)
    assert len(rows) == records(page).count()
    assert f"'{formula}" in {row["resource"] for row in rows}
    assert not [cell for row in rows for cell in row.values() if cell[:1] in {*"=+-@"}]
    assert [json.loads(row["details"]) for row in rows if row["method"] == "Create API key"] == [
        {
            "capabilities": "server.details, server.reboot",
            "label": "nightly job",
            "servers": hostname,
        }
    ]
    [done] = [row for row in rows if row["resource"] == hostname and row["operation"]]
    assert (done["who"], done["subject"]) == ("Key nightly job", key.id)
    assert (done["method"], done["outcome"]) == ("Reboot server", "ACCEPTED")


def test_who_may_only_look_is_told_whose_the_trail_is(system: System, browser: Browser) -> None:
    page = sign_in(browser, system, person(system, role="READ_ONLY"))
    seen = watch(page)
    open_audit(page)
    expect(page.get_by_text("for members and owners of the account")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    assert not [url for url in seen.requests if "/api/audit" in url]
