"""API keys in the console: what is made there works, and a secret is shown once."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc
from playwright.sync_api import Browser, Locator, Page, Playwright, Route, ViewportSize, expect

from lab.ipmi_sim import IpmiSim
from tests.browser.conftest import (
    Person,
    complaints,
    fill_in,
    fits,
    hold,
    launch,
    person,
    serious,
    sign_in,
    watch,
)
from tests.integration.conftest import ACCOUNT, Key, System, eventually, running

NARROW: ViewportSize = {"width": 360, "height": 740}

DETAILS = "Server / netboot details (GET /servers/{host})"

MAKING = re.compile(r"/api/keys(/[0-9a-f]+/rotate)?$")
"""The calls that make a key. The list of keys has a query behind it."""

LEFT_BEHIND = """() => {
  const texts = [];
  for (const storage of [localStorage, sessionStorage])
    for (let i = 0; i < storage.length; i++) texts.push(storage.getItem(storage.key(i)));
  return [...texts, location.href, JSON.stringify(history.state), document.cookie].join(" ");
}"""
"""All that a page can leave behind in a browser."""


REFUSED = {"INVALID_REQUEST", "CAPABILITY_MISSING", "SERVER_NOT_GRANTED", "METHOD_NOT_ALLOWED"}
"""What a command is answered that is not one of the key's, or none of the API's."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """An operator limits here how long keys live."""
    folder = tmp_path_factory.mktemp("system")
    with running(folder, {"F2H_AUTH_KEY_MAX_DAYS": "400"}) as made:
        yield made


def test_a_key_with_everything_does_what_the_shown_command_says(
    system: System, browser: Browser
) -> None:
    hostname = system.server(system.bmc(), account="all")
    other = system.server(system.bmc(), account="all")
    page = sign_in(browser, system, person(system, account="all"), timezone_id="UTC")
    seen = watch(page)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="API keys").click()
    expect(page.get_by_role("heading", name="No API keys yet")).to_be_visible()
    page.get_by_role("link", name="Generate API key").first.click()
    page.get_by_placeholder("e.g. CI, monitoring").fill("nightly")
    expect(services(page)).to_contain_text(f"{hostname} · 198.18.")
    expect(services(page)).to_contain_text("· EU-WEST-F2H")
    services(page).get_by_role("searchbox").fill(hostname)
    services(page).get_by_role("searchbox").press("Enter")
    services(page).get_by_text("Select the 1 shown").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Add my address (127.0.0.1)").click()
    expect(page.get_by_label("CIDR allowlist")).to_have_value("127.0.0.1/32")
    page.get_by_label("Monitoring data").check()
    page.get_by_label("Server / netboot details (GET /servers/{host})").check()
    page.get_by_label("Expiry").select_option("At the end of a day…")
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    page.get_by_label("Last day").fill(tomorrow)
    assert serious(page) == []
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    assert serious(page) == []
    made = keys_of(system, "all")[0]
    assert made["label"] == "nightly"
    assert made["servers"] == [hostname] != [other]
    assert made["capabilities"] == ["monitoring.read", "server.details"]
    assert made["cidrs"] == ["127.0.0.1/32"]
    assert made["expire_time"] == f"{tomorrow}T23:59:59Z"
    assert json.loads(run(page))["hostname"] == hostname
    assert complaints(seen) == []
    assert seen.hosts() == {f"127.0.0.1:{system.stack.ports.public}"}


def test_every_capability_has_a_command_that_its_key_may_send(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    page = open_form(browser, system, person(system))
    catalogue = system.rest("GET", "/api/capabilities").json()["capabilities"]
    for each in catalogue:
        service(page, hostname).check()
        page.get_by_label(each["label"], exact=True).check()
        page.get_by_role("button", name="Create").click()
        answer = run(page)
        assert not set(re.findall(r'"reason":"(\w+)"', answer)) & REFUSED, (each["id"], answer)
        page.goto(f"{system.stack.url}/console/#/keys/new")


def test_the_two_rules_are_said_where_they_are_broken(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    page = open_form(browser, system, person(system))
    expect(services(page)).to_contain_text(
        "Tick each server this key is allowed to act on. "
        "Required when you enable server capabilities."
    )
    expect(capabilities(page)).to_contain_text(
        "Select at least one. Server-scoped actions require at least one service above."
    )
    page.get_by_role("button", name="Create").click()
    expect(capabilities(page).get_by_role("alert")).to_have_text("Select at least one.")
    page.get_by_label("US anti-hack unblock (body)").check()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("Exit rescue").check()
    expect(services(page).get_by_role("alert")).to_contain_text("“Exit rescue” acts on a server")
    before = len(keys_of(system))
    page.get_by_role("button", name="Create").click()
    expect(services(page).get_by_label("Select all")).to_be_focused()
    service(page, hostname).check()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert len(keys_of(system)) == before


LINES = {
    "203.0.113.4/32": True,
    "203.0.113.0/24": True,
    "0.0.0.0/0": True,
    "::/0": True,
    "2001:db8::/32": True,
    "2001:DB8:1::/48": True,
    "::ffff:192.0.2.0/120": True,
    "64:ff9b::192.0.2.1/128": True,
    "::192.0.2.1/128": True,
    "1:2:3:4:5:6:7::/128": True,
    "203.0.113.4": False,
    "2001:db8::1": False,
    "203.0.113.4/24": False,
    "2001:db8::1/64": False,
    "203.0.113.0/33": False,
    "2001:db8::/129": False,
    "203.0.113.0/024": False,
    "203.0.113.0/+24": False,
    "203.0.113.0/": False,
    "203.0.113.0/24/24": False,
    "203.0.113.0/255.255.255.0": False,
    "203.0.113/24": False,
    "203/8": False,
    "0xcb.0.113.0/24": False,
    "0313.0.113.0/24": False,
    "203.0.113.256/32": False,
    "203.0.113.4.5/32": False,
    "fe80::%eth0/64": False,
    "1::2::3/128": False,
    "1:2:3:4:5:6:7:8:9/128": False,
    "1:2:3:4:5:6:7:192.0.2.1/128": False,
    "::ffff:192.0.2/128": False,
    "::ffff:192.0.02.1/128": False,
    "12345::/16": False,
    ":1::/16": False,
    "[::1]/128": False,
    "203.0.113.7/32, 203.0.113.8/32": False,
    "example.net": False,
    "*": False,
    "/8": False,
}
"""What may stand on a line, and whether it is a network."""


def test_a_line_that_is_no_network_is_named_as_it_is_typed_and_the_api_says_the_same(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    system.server(bmc)
    page = open_form(browser, system, person(system))
    page.get_by_label("CIDR allowlist").fill("\n".join(LINES))
    expect(page.get_by_role("alert")).to_contain_text(f"Line {len(LINES)}:")
    field = page.locator(".field").filter(has=page.get_by_label("CIDR allowlist"))
    named = {int(each) - 1 for each in re.findall(r"Line (\d+):", field.inner_text())}
    form = {
        "account": ACCOUNT,
        "capabilities": ["antihack.us_unblock"],
        "cidrs": [*LINES],
        "no_expiry": False,
    }
    answer = system.noc("POST", "/api/keys", json=form)
    details = {each["@type"].rpartition(".")[2]: each for each in answer.json()["details"]}
    violations = details["BadRequest"]["field_violations"]
    refused = {int(each["field"][len("cidrs[") : -1]) for each in violations}
    wrong = {index for index, good in enumerate(LINES.values()) if not good}
    assert named == wrong
    assert refused == wrong


def test_what_was_meant_is_put_in_its_place(system: System, browser: Browser, bmc: IpmiSim) -> None:
    hostname = system.server(bmc)
    page = open_form(browser, system, person(system))
    box = page.get_by_label("CIDR allowlist")
    box.press_sequentially("203.0.113.4/24\n")
    expect(page.get_by_role("alert")).to_have_text(
        re.compile("Line 1: 203.0.113.4/24 has host bits: 203.0.113.0/24")
    )
    page.get_by_role("button", name="Write 203.0.113.0/24").click()
    expect(box).to_have_value("203.0.113.0/24\n")
    box.fill("\n192.0.2.0/24, 192.0.2.7/32\n192.0.2.7")
    page.get_by_role("button", name="Put each on its line").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 4: 192.0.2.7 is there already")
    page.get_by_role("button", name="Remove this line").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    box.press("End")
    box.press_sequentially("\n2001:DB8::1")
    expect(page.get_by_text("2001:DB8::1 is one address and counts as")).to_be_visible()
    service(page, hostname).check()
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    expect(page.get_by_text("Not from here: your address 127.0.0.1")).to_be_visible()
    assert keys_of(system)[0]["cidrs"] == ["192.0.2.0/24", "192.0.2.7/32", "2001:db8::1/128"]


def test_more_networks_than_a_key_takes_are_named(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    system.server(bmc)
    page = open_form(browser, system, person(system))
    page.get_by_label("CIDR allowlist").fill("\n".join(f"192.0.2.{n}/32" for n in range(101)))
    expect(page.get_by_role("alert")).to_have_text("101 networks are too many: a key takes 100.")


def test_a_key_that_could_not_follow_its_own_reboot_is_offered_what_it_lacks(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    page = open_form(browser, system, person(system))
    service(page, hostname).check()
    offer = page.get_by_role("button", name="Tick it as well")
    page.get_by_label("Monitoring data").check()
    expect(offer).to_have_count(0)
    page.get_by_label("Reboot server").check()
    offer.click()
    expect(page.get_by_label("Server / netboot details (GET /servers/{host})")).to_be_checked()
    expect(offer).to_have_count(0)


def test_creating_twice_at_once_makes_one_key(system: System, browser: Browser) -> None:
    system.server(system.bmc(), account="twice")
    page = open_form(browser, system, person(system, account="twice"))
    held = hold(page, re.compile(r"/api/keys\b"), "POST")
    page.get_by_label("Exit rescue").check()
    # Before any of it is drawn: what a double click and Enter do, faster than any hand.
    page.locator("form").evaluate("form => { form.requestSubmit(); form.requestSubmit(); }")
    page.get_by_label("Label").press("Enter")
    expect(page.get_by_role("button", name="Create")).to_be_disabled()
    held.release()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    assert len(held.routes) == 1
    assert len(keys_of(system, "twice")) == 1


def test_a_key_whose_answer_was_lost_is_named_and_rotated(system: System, browser: Browser) -> None:
    hostname = system.server(system.bmc(), account="lost")
    page = open_form(browser, system, person(system, account="lost"))
    lose_answers(page, times=1)
    page.get_by_label("Label").fill("not answered")
    page.get_by_label(DETAILS).check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="its secret was lost")).to_be_visible()
    [made] = keys_of(system, "lost")
    expect(card(page, made["id"]).get_by_role("heading", name="not answered")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="Rotate: get another secret").click()
    dialog = page.get_by_role("dialog", name=f"Rotate “not answered” ({made['id']})?")
    expect(dialog.get_by_label("Not at all: it is revoked at once")).to_be_checked()
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text(f"The old key {made['id']} is revoked")).to_be_visible()
    assert json.loads(run(page))["hostname"] == hostname
    page.get_by_role("link", name="Done").click()
    expect(card(page, made["id"])).to_contain_text("Revoked")
    assert len(keys_of(system, "lost")) == 2


def test_a_key_whose_answer_was_lost_can_be_revoked_at_once(
    system: System, browser: Browser
) -> None:
    system.server(system.bmc(), account="lost-revoked")
    page = open_form(browser, system, person(system, account="lost-revoked"), size=NARROW)
    lose_answers(page, times=1)
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("button", name="Revoke key")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Revoke key").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
    expect(page.locator(".key").get_by_text("Revoked").first).to_be_visible()
    expect(page.get_by_role("button", name="Rotate: get another secret")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()
    [made] = keys_of(system, "lost-revoked")
    assert made["state"] == "REVOKED"


def test_a_form_that_did_not_arrive_makes_its_key_all_the_same(
    system: System, browser: Browser
) -> None:
    system.server(system.bmc(), account="blip")
    page = open_form(browser, system, person(system, account="blip"))
    lose_answers(page, times=1, arrives=False)
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    made = secret(page)
    assert [key["id"] for key in keys_of(system, "blip")] == [made.split(".")[1]]


def test_while_nothing_answers_it_is_not_known_and_sending_again_tells(
    system: System, browser: Browser
) -> None:
    system.server(system.bmc(), account="silent")
    page = open_form(browser, system, person(system, account="silent"))
    lose_answers(page, times=2)
    page.get_by_label("Label").fill("first")
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Whether the key was made is not known")).to_be_visible()
    assert serious(page) == []
    # It was, and is called as it was then.
    page.get_by_label("Label").fill("second")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="its secret was lost")).to_be_visible()
    expect(page.locator(".key").get_by_role("heading", name="first")).to_be_visible()
    assert [key["label"] for key in keys_of(system, "silent")] == ["first"]


def test_a_session_that_ends_meanwhile_does_not_make_a_lost_answer_known(
    system: System, browser: Browser
) -> None:
    system.server(system.bmc(), account="ended")
    who = person(system, account="ended")
    page = open_form(browser, system, who)

    def lose(route: Route) -> None:
        assert route.fetch().ok
        page.context.clear_cookies()
        route.abort()

    page.route(MAKING, lose, times=1)
    page.get_by_label("Exit rescue").check()
    # What tells that the session has ended may be another call, and come first.
    with page.expect_response(MAKING) as again:
        page.get_by_role("button", name="Create").click()
    assert again.value.status == 401
    expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    fill_in(page, who)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Whether the key was made is not known")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="its secret was lost")).to_be_visible()
    assert len(keys_of(system, "ended")) == 1


def test_a_refusal_after_a_lost_answer_is_not_said_to_have_made_no_key(
    system: System, browser: Browser
) -> None:
    bmc = system.bmc()
    hostname = system.server(bmc, account="refused")
    page = open_form(browser, system, person(system, account="refused"))
    page.get_by_label("Exit rescue").check()
    system.server(bmc, account=ACCOUNT, hostname=hostname)
    lose_answers(page, times=1, arrives=False)
    page.get_by_role("button", name="Create").click()
    expect(services(page).get_by_role("alert")).to_contain_text(f"{hostname} is not a server of")
    unknown = page.get_by_text("Whether the key was made is not known")
    expect(unknown).to_be_visible()
    expect(page.get_by_text("What is wrong is said at its field")).to_be_visible()
    expect(page.get_by_text("The key was not created")).to_have_count(0)
    # What is changed then does not make it known either.
    page.get_by_label("Label").fill("other")
    expect(services(page).get_by_role("alert")).to_have_count(0)
    expect(unknown).to_be_visible()


def test_a_rotation_whose_answer_was_lost_leads_to_the_new_key(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    old = system.key(system.server(bmc), label="to lose")
    page = open_keys(browser, system, person(system))
    rotating = page.get_by_role("dialog").get_by_role("button", name="Rotate")
    card(page, old.id).get_by_role("button", name="Rotate").click()
    last = old.id
    # The second is what was asked for because the first was lost.
    for _ in range(2):
        lose_answers(page, times=1)
        rotating.click()
        expect(page.get_by_role("heading", name="its secret was lost")).to_be_visible()
        expect(page.locator(".key")).to_contain_text(f"In place of {last}")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("button", name="Rotate: get another secret").click()
        [last] = [key["id"] for key in keys_of(system) if key["replaces"] == last]
    rotating.click()
    expect(page.get_by_text(f"The old key {last} is revoked")).to_be_visible()


def test_a_secret_is_gone_when_its_page_was_left(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    page = sign_in(browser, system, person(system))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="API keys").click()

    def make() -> str:
        page.get_by_role("link", name="Generate API key").first.click()
        service(page, hostname).check()
        page.get_by_label("Exit rescue").check()
        page.get_by_role("button", name="Create").click()
        made = secret(page)
        assert made.split(".")[2] not in page.evaluate(LEFT_BEHIND)
        return made

    def assert_gone(made: str) -> None:
        expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text=made.split(".")[1])).to_be_visible()
        assert made.split(".")[2] not in page.content()

    made = make()
    page.reload()
    assert_gone(made)
    made = make()
    page.go_back()
    assert_gone(made)
    page.go_forward()
    assert_gone(made)
    made = make()
    page.goto(f"{system.stack.url}/docs/")
    page.go_back()
    assert_gone(made)
    made = make()
    page.get_by_role("link", name="Done").click()
    assert_gone(made)


def test_a_secret_can_be_copied(system: System, browser: Browser, bmc: IpmiSim) -> None:
    hostname = system.server(bmc)
    page = open_form(browser, system, person(system), permissions=["clipboard-read"])
    service(page, hostname).check()
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret(page)
    page.get_by_role("button", name="Copy command").click()
    expect(page.get_by_role("button", name="Copied")).to_have_count(2)
    assert page.evaluate("navigator.clipboard.readText()") == page.locator(".curl").inner_text()


def test_a_session_that_ends_over_the_form_loses_nothing_of_it(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    who = person(system)
    page = open_form(browser, system, who)
    page.get_by_label("Label").fill("kept")
    service(page, hostname).check()
    page.get_by_label("CIDR allowlist").fill("192.0.2.0/24")
    page.get_by_label("Exit rescue").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    fill_in(page, who)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    made = keys_of(system)[0]
    assert (made["label"], made["servers"], made["cidrs"]) == ("kept", [hostname], ["192.0.2.0/24"])


def test_what_the_api_refuses_is_said_at_its_field(system: System, browser: Browser) -> None:
    bmc = system.bmc()
    hostname = system.server(bmc, account="selling")
    page = open_form(browser, system, person(system, account="selling"))
    # The only one is ticked from the beginning.
    expect(service(page, hostname)).to_be_checked()
    page.get_by_label("Exit rescue").check()
    page.get_by_label("Expiry").select_option("Never")
    expect(page.get_by_text("It never expires: if it leaks")).to_be_visible()
    system.server(bmc, account=ACCOUNT, hostname=hostname)
    page.get_by_role("button", name="Create").click()
    expect(services(page).get_by_role("alert")).to_contain_text(f"{hostname} is not a server of")
    expiry = page.locator(".field").filter(has=page.get_by_label("Expiry"))
    expect(expiry.get_by_role("alert")).to_contain_text("keys expire here by")
    assert keys_of(system, "selling") == []


def test_rotating_with_an_overlap_leaves_the_old_key_and_shows_the_new(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    old = system.key(hostname, label="to rotate")
    page = open_keys(browser, system, person(system))
    card(page, old.id).get_by_role("button", name="Rotate").click()
    dialog = page.get_by_role("dialog", name=f"Rotate “to rotate” ({old.id})?")
    dialog.get_by_label("1 hour more").check()
    assert serious(page) == []
    dialog.get_by_role("button", name="Rotate").click()
    new = Key(secret(page).split(".")[1], secret(page))
    expect(page.get_by_text(f"The old key {old.id} works until")).to_be_visible()
    assert json.loads(run(page))["hostname"] == hostname
    assert system.rest("GET", f"/api/servers/{hostname}", old).status_code == 200
    page.get_by_role("link", name="Done").click()
    expect(card(page, old.id)).to_contain_text(f"In its place: {new.id}")
    expect(card(page, old.id).get_by_role("button", name="Rotate")).to_have_count(0)

    card(page, new.id).get_by_role("button", name="Rotate").click()
    page.get_by_label("Not at all: it is revoked at once").check()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(page.get_by_text(f"The old key {new.id} is revoked")).to_be_visible()
    path = f"/api/servers/{hostname}"
    eventually(lambda: system.rest("GET", path, new).status_code == 401, seconds=3)


def test_revoking_asks_names_the_key_and_ends_it(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    key = system.key(hostname, label="leaked")
    assert system.rest("GET", f"/api/servers/{hostname}", key).status_code == 200
    page = open_keys(browser, system, person(system))
    card(page, key.id).get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog", name=f"Revoke “leaked” ({key.id})?")
    assert serious(page) == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert system.rest("GET", f"/api/servers/{hostname}", key).status_code == 200
    card(page, key.id).get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text(f"Revoked: “leaked” ({key.id})")).to_be_visible()
    assert system.rest("GET", f"/api/servers/{hostname}", key).status_code == 401
    expect(card(page, key.id).get_by_text("Revoked").first).to_be_visible()
    expect(card(page, key.id).get_by_role("button")).to_have_count(0)


def test_a_label_and_networks_can_be_changed_and_emptied(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    key = system.key(system.server(bmc), label="before", cidrs=["192.0.2.0/24"])
    page = open_keys(browser, system, person(system))
    card(page, key.id).get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name=f"Edit “before” ({key.id})")
    dialog.get_by_label("Label").fill("after")
    dialog.get_by_label("CIDR allowlist").fill("192.0.2.0/24\n198.51.100.7/3")
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    dialog.get_by_label("CIDR allowlist").fill("")
    dialog.get_by_label("Label").press("Enter")
    expect(card(page, key.id).get_by_role("heading", name="after")).to_be_visible()
    expect(card(page, key.id)).to_contain_text("Any address")
    made = next(each for each in keys_of(system) if each["id"] == key.id)
    assert (made["label"], made["cidrs"]) == ("after", [])


def test_capabilities_and_servers_can_be_taken_away_and_no_more_given(
    system: System, browser: Browser
) -> None:
    who, bmc = person(system, account="narrow"), system.bmc()
    kept, dropped, never = (system.server(bmc, account="narrow", port=port) for port in range(3))
    has = ["monitoring.read", "rescue.exit", "server.details"]
    key = system.key(
        kept, dropped, account="narrow", label="wide", capabilities=has, cidrs=["192.0.2.0/24"]
    )
    page = open_keys(browser, system, who)
    page.set_viewport_size(NARROW)
    card(page, key.id).get_by_role("button", name="Edit").click()
    servers, may = services(page), capabilities(page)
    expect(servers.get_by_label(never)).to_be_disabled()
    expect(servers).to_contain_text("Those that it does not have cannot be ticked")
    expect(may.get_by_label("Reboot server")).to_be_disabled()
    expect(may).to_contain_text("What it does not have cannot be ticked")
    expect(servers).to_contain_text("2 of 2 selected")
    servers.get_by_label("Select all").uncheck()
    expect(servers.get_by_role("alert")).to_contain_text("Tick at least one service")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    servers.get_by_label("Select all").check()
    expect(servers.get_by_label(never)).not_to_be_checked()
    servers.get_by_label(dropped).focus()
    page.keyboard.press("Space")
    may.get_by_label("Exit rescue").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("1 of its capabilities, 1 of its servers")).to_be_visible()
    assert fits(page)
    assert serious(page) == []
    page.get_by_role("dialog").get_by_label("Label").press("Enter")
    expect(page.get_by_text(f"Saved: “wide” ({key.id}).")).to_be_visible()
    expect(card(page, key.id).get_by_text(dropped)).to_have_count(0)
    [made] = keys_of(system, "narrow")
    assert made["servers"] == [kept]
    assert made["capabilities"] == ["monitoring.read", "server.details"]
    assert (made["label"], made["cidrs"]) == ("wide", ["192.0.2.0/24"])
    card(page, key.id).get_by_role("button", name="Edit").click()
    expect(servers.get_by_label(dropped)).to_be_disabled()


def test_what_somebody_else_changed_meanwhile_stays(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    key = system.key(system.server(bmc), label="before", cidrs=["192.0.2.0/24"])
    page = open_keys(browser, system, person(system))
    card(page, key.id).get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Label").fill("after")
    change = {"capabilities": ["server.details"], "cidrs": ["198.51.100.0/24"]}
    assert system.noc("PATCH", f"/api/keys/{key.id}", json=change).status_code == 200
    page.get_by_role("button", name="Save").click()
    expect(card(page, key.id).get_by_role("heading", name="after")).to_be_visible()
    made = next(each for each in keys_of(system) if each["id"] == key.id)
    assert {name: made[name] for name in change} == change


def test_a_label_that_reads_otherwise_than_it_stands_is_refused_at_its_field(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    system.server(bmc)
    page = open_form(browser, system, person(system))
    before = len(keys_of(system))
    label = page.get_by_label("Label")
    label.fill("backup \u202e)rotinom(")
    page.get_by_label("US anti-hack unblock (body)").check()
    page.get_by_role("button", name="Create").click()
    expect(label).to_have_accessible_description(re.compile("turn the direction of writing"))
    expect(label).to_be_focused()
    assert len(keys_of(system)) == before
    label.fill("گزارش\u200cها 👩\u200d🚀")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()


def test_of_many_keys_all_are_found_by_text_and_state(system: System, browser: Browser) -> None:
    who = person(system, account="crowd")
    bmc = system.bmc()
    first = system.server(bmc, account="crowd")
    second = system.server(bmc, account="crowd", port=1)
    for number in range(200):
        server = first if number % 2 else second
        made = system.key(server, account="crowd", label=f"job-{number:03}")
        if number < 3:
            assert system.noc("DELETE", f"/api/keys/{made.id}").status_code == 200
    last = system.key(
        first, account="crowd", label="power", capabilities=["server.power"], cidrs=["192.0.2.0/24"]
    )
    page = open_keys(browser, system, who)
    count = page.get_by_text(re.compile(r"^(\d+ of )?\d+ keys$"))
    expect(count).to_have_text("201 keys")
    cards = page.locator(".key")
    expect(cards.last).to_contain_text("Revoked")
    for sought, found in (
        ("job-01", 10),
        ("JOB-017", 1),
        (first, 101),
        (last.id, 1),
        ("server.power", 1),
        ("Power on / off", 1),
        (f"job {second}", 100),
    ):
        page.get_by_role("searchbox").fill(sought)
        expect(cards).to_have_count(found)
        expect(count).to_have_text(f"{found} of 201 keys")
    page.get_by_role("searchbox").fill("job-00")
    page.get_by_label("State").select_option("Revoked")
    expect(cards).to_have_count(3)
    page.get_by_label("State").select_option("Active")
    expect(cards).to_have_count(7)
    page.get_by_label("State").select_option("Expired")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()


def test_what_is_a_risk_is_said_in_words(system: System, browser: Browser) -> None:
    who = person(system, account="risks")
    first = system.server(system.bmc(), account="risks")
    second = system.server(system.bmc(), account="risks")
    key = system.key(first, second, account="risks")
    page = open_keys(browser, system, who)
    expect(card(page, key.id)).to_contain_text("It works from any address")
    expect(card(page, key.id)).to_contain_text("It acts on every server of the account")
    assert serious(page) == []


def test_a_page_that_the_browser_kept_comes_back_without_its_secret(
    system: System, playwright: Playwright, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc)
    # Real browsers keep pages, and Playwright's do not.
    browser = launch(playwright, "--disable-back-forward-cache")
    page = open_form(browser, system, person(system))
    service(page, hostname).check()
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    made = secret(page)
    page.evaluate("addEventListener('pageshow', (event) => { window.kept = event.persisted; })")
    page.goto(f"{system.stack.url}/docs/")
    page.go_back(wait_until="commit")
    expect(page.get_by_role("heading", name="API keys", level=1)).to_be_visible()
    page.wait_for_function("window.kept === true")
    assert made not in page.content()
    browser.close()


def test_500_servers_are_searched_and_ticked_at_once(system: System, browser: Browser) -> None:
    fleet(system, "fleet", 500)
    page = open_form(browser, system, person(system, account="fleet"))
    expect(services(page)).to_contain_text("0 of 500 selected")
    search = services(page).get_by_role("searchbox")
    search.press_sequentially("ns12")
    expect(services(page).get_by_text("Select the 11 shown")).to_be_visible()
    for _ in range(4):
        search.press("Backspace")
    services(page).get_by_label("Select all").check()
    expect(services(page)).to_contain_text("500 of 500 selected")
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    assert len(keys_of(system, "fleet")[0]["servers"]) == 500
    page.get_by_role("link", name="Done").click()
    page.get_by_text("and 497 more").click()
    expect(page.get_by_text("ns499.example.net")).to_be_visible()


def test_a_label_is_text_whatever_stands_in_it(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    label = "<img src=x onerror=document.title='run'>"
    key = system.key(system.server(bmc), label=label)
    page = open_keys(browser, system, person(system))
    seen = watch(page)
    expect(card(page, key.id).get_by_role("heading", name=label)).to_be_visible()
    card(page, key.id).get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text(label)
    assert page.locator("img[src=x]").count() == 0
    assert complaints(seen) == []


def test_who_may_only_look_is_shown_no_way_to_change_a_key(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    key = system.key(system.server(bmc))
    page = open_keys(browser, system, person(system, "READ_ONLY"))
    expect(card(page, key.id)).to_be_visible()
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("link", name="Generate API key")).to_have_count(0)
    page.goto(f"{system.stack.url}/console/#/keys/new")
    expect(page.get_by_text("Your role can look at keys, not make them.")).to_be_visible()
    expect(page.get_by_role("button", name="Create")).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_screen(
    system: System, browser: Browser, bmc: IpmiSim
) -> None:
    hostname = system.server(bmc, hostname=f"{'a-very-long-name' * 3}.fleet.example.net")
    system.key(hostname, label="w" * 100, cidrs=["2001:db8:1234:5678:9abc:def0:1234:5678/128"])
    page = sign_in(browser, system, person(system), size=NARROW)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="API keys").click()
    expect(page.get_by_text("w" * 100)).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Rotate").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert fits(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Generate API key").click()
    service(page, hostname).check()
    page.get_by_label("CIDR allowlist").fill("2001:db8:1234:5678:9abc:def0:1234:5678/12")
    assert fits(page)
    page.get_by_label("CIDR allowlist").fill("")
    page.get_by_label("Exit rescue").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    assert fits(page)


def lose_answers(page: Page, *, times: int, arrives: bool = True) -> None:
    """The next calls that make a key are not answered, although they arrived, or were not heard."""

    def lose(route: Route) -> None:
        if arrives:
            route.fetch()
        route.abort()

    page.route(MAKING, lose, times=times)


def open_keys(browser: Browser, system: System, who: Person) -> Page:
    """The list of keys."""
    page = sign_in(browser, system, who)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="API keys").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()
    return page


def open_form(browser: Browser, system: System, who: Person, **context: Any) -> Page:
    """The form "Generate API key"."""
    page = sign_in(browser, system, who, **context)
    page.goto(f"{system.stack.url}/console/#/keys/new")
    expect(page.get_by_role("button", name="Create")).to_be_visible()
    return page


def services(page: Page) -> Locator:
    """The list of servers in the form."""
    return page.get_by_role("group", name="Dedicated services")


def service(page: Page, hostname: str) -> Locator:
    """The tick of a server."""
    return services(page).get_by_label(hostname)


def capabilities(page: Page) -> Locator:
    """The list of capabilities in the form."""
    return page.get_by_role("group", name="Capabilities")


def card(page: Page, key_id: str) -> Locator:
    """A key in the list."""
    return page.locator(".key").filter(has=page.locator(f".key-name + code:text-is('{key_id}')"))


def secret(page: Page) -> str:
    """The secret that is shown."""
    shown = page.locator(".secret")
    expect(shown).to_have_text(re.compile(r"^f2h\.[0-9a-f]{16}\.\w+$"))
    return shown.inner_text()


def run(page: Page) -> str:
    """What the command that is shown answers in a shell."""
    command = page.locator(".curl").inner_text()
    assert command.startswith("curl -sS ")
    # A shell's own reading of it is what is tested.
    return subprocess.check_output(["sh", "-c", command], text=True, timeout=60)


def keys_of(system: System, account: str = ACCOUNT) -> list[dict[str, Any]]:
    """The keys of an account, newest first, as the NOC sees them."""
    params = {"account": account, "page_size": "1000"}
    answer = system.noc("GET", "/api/keys", params=params)
    assert answer.status_code == 200, answer.text
    keys: list[dict[str, Any]] = answer.json()["keys"]
    return keys


def fleet(system: System, account: str, size: int) -> None:
    """Registers so many servers, whose BMCs answer nothing."""
    system.account(account)
    metadata = (("x-api-key", system.stack.noc_key()),)
    with system.stack.internal_channel() as channel:
        inventory = inventory_pb2_grpc.InventoryServiceStub(channel)
        for number in range(size):
            high, low = divmod(number, 256)
            inventory.PutServer(
                inventory_pb2.PutServerRequest(
                    hostname=f"ns{number}.example.net",
                    account=account,
                    ips=[f"198.19.{high}.{low}"],
                    datacenter="EU-WEST-F2H",
                    mac=f"0c:c4:7d:00:{high:02x}:{low:02x}",
                    bmc_address="127.0.0.1",
                    bmc_port=1,
                    bmc_username="nobody",
                    bmc_password="nothing",
                ),
                metadata=metadata,
                timeout=10,
            )
