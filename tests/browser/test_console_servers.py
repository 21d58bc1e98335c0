"""A person's servers in the console: what goes on, and what is done with them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bcrypt
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from lab.booting import host_key
from lab.ipmi_sim import IpmiSim
from services.server_ops.rescue.host_key import fingerprint
from tests.browser.conftest import (
    DESK,
    PHONE,
    Person,
    Seen,
    complaints,
    fits,
    hold,
    person,
    serious,
    sign_in,
    watch,
)
from tests.integration.booting import Booting, begin
from tests.integration.conftest import System, eventually

RESTARTED = "The machine was seen to restart"
IN_RESCUE = ("server.details", "rescue.enter")


@dataclass
class Visit:
    """A person before the page of one server."""

    system: System
    page: Page
    seen: Seen
    hostname: str

    @classmethod
    def of(cls, browser: Browser, system: System, hostname: str, **options: Any) -> "Visit":
        who: Person = options.pop("who", None) or person(system, "MEMBER")
        page = sign_in(browser, system, who, **options)
        seen = watch(page)
        page.goto(f"{system.stack.url}/console/#/servers/{hostname}")
        expect(page.get_by_role("heading", name=hostname, level=1)).to_be_visible()
        expect(page.get_by_role("heading", name="Rescue", exact=True)).to_be_visible()
        return cls(system, page, seen, hostname)

    def button(self, name: str) -> Locator:
        """A button of the page, where no dialog is open."""
        return self.page.get_by_role("button", name=name, exact=True)

    def dialog(self, name: str) -> Locator:
        """The dialog that opens when this button is pressed."""
        self.button(name).click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(self.hostname)
        return dialog

    def confirm(self, dialog: Locator, name: str) -> None:
        """Presses what goes on in a dialog."""
        dialog.get_by_role("button", name=name, exact=True).click()

    def step(self, name: str) -> Locator:
        """A step of the operation that goes on, which stands at the top."""
        return self.followed().get_by_role("listitem").filter(has_text=name)

    def followed(self) -> Locator:
        """What goes on, or has just ended."""
        return self.page.get_by_role("region", name="What goes on")

    def linked(self) -> Locator:
        """What a link led to."""
        return self.page.get_by_role("region", name="The operation that you came for")

    def asked(self, end: str) -> int:
        """How often something was asked for whose address ends so."""
        return sum(url.endswith(end) for url in self.seen.requests)

    def power(self) -> Locator:
        """What the page says of the power."""
        return self.page.get_by_role("region", name="State").locator(".badge")


def slow(system: System) -> tuple[IpmiSim, str]:
    """A server that is seen to start when `start` says so: there is time to look."""
    bmc = system.bmc(restarts_visibly=False)
    return bmc, system.server(bmc)


def start(bmc: IpmiSim) -> None:
    """The machine starts, once it was told to."""
    eventually(bmc.executed)
    bmc.record_start()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_reboot_is_watched_step_by_step_and_a_double_click_is_one(
    system: System, browser: Browser, size: Any
) -> None:
    bmc, hostname = slow(system)
    visit = Visit.of(browser, system, hostname, size=size)
    dialog = visit.dialog("Reboot")
    expect(dialog.get_by_role("heading")).to_have_text(f"Reboot {hostname}?")
    expect(dialog).to_contain_text("What was not written to disk is lost")
    action = dialog.get_by_role("button", name="Reboot", exact=True)
    expect(action).not_to_be_focused()
    assert serious(visit.page) == []
    action.dblclick()
    expect(visit.step("see the machine restart")).to_contain_text("under way")
    expect(visit.step("send the chassis command")).to_contain_text("done")
    assert serious(visit.page) == []
    start(bmc)
    expect(visit.followed()).to_contain_text(RESTARTED)
    expect(visit.followed()).to_contain_text("by you")
    expect(visit.page.get_by_role("region", name="Operations")).to_contain_text("Reboot")
    assert (bmc.executed(), bmc.chassis_commands()) == (["reset"], 1)
    assert visit.asked("/reboot") == 1
    assert visit.asked("/watch") == 1
    assert fits(visit.page)
    assert complaints(visit.seen) == []
    assert visit.seen.hosts() == {f"127.0.0.1:{system.stack.ports.public}"}


def test_nothing_is_done_before_it_is_confirmed(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    visit = Visit.of(browser, system, system.server(bmc))
    leave: list[Callable[[Locator], None]] = [
        lambda dialog: visit.confirm(dialog, "Cancel"),
        lambda _: visit.page.keyboard.press("Escape"),
    ]
    for each in leave:
        dialog = visit.dialog("Reboot")
        dialog.get_by_label("Ask the operating system").check()
        dialog.get_by_label("Wait for it to shut down").press("Enter")
        expect(dialog).to_be_visible()
        each(dialog)
        expect(dialog).not_to_be_visible()
        expect(visit.button("Reboot")).to_be_focused()
    assert visit.asked("/reboot") == 0
    assert bmc.executed() == []


ACTIONS = ("Reboot", "Power", "Enter rescue", "Install")


def test_while_an_operation_holds_a_server_its_actions_wait_and_say_why(
    system: System, browser: Browser
) -> None:
    bmc, hostname = slow(system)
    visit = Visit.of(browser, system, hostname)
    dialog = visit.dialog("Reboot")
    visit.confirm(dialog, "Reboot")
    expect(dialog).to_have_count(0)
    for name in ACTIONS:
        expect(visit.button(name)).to_be_disabled()
        expect(visit.button(name)).to_have_accessible_description(re.compile("holds this server"))
    # It was pressed last, and what it waits for is read out there.
    expect(visit.button("Reboot")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    assert serious(visit.page) == []
    start(bmc)
    expect(visit.followed()).to_contain_text(RESTARTED)
    for name in ACTIONS:
        expect(visit.button(name)).to_be_enabled()
        expect(visit.button(name)).to_have_accessible_description("")
    assert visit.asked("/reboot") == 1
    assert complaints(visit.seen) == []


def test_what_holds_a_server_is_named_and_shown(system: System, browser: Browser) -> None:
    bmc, hostname = slow(system)
    visit = Visit.of(browser, system, hostname)
    dialog = visit.dialog("Power")
    dialog.get_by_label("Switch off").check()
    key = system.key(hostname)
    system.rest("POST", f"/api/servers/{hostname}/reboot", key)
    visit.confirm(dialog, "Switch off")
    expect(dialog).to_contain_text("What holds the server: Reboot")
    dialog.get_by_role("link", name="Show it").click()
    expect(dialog).not_to_be_visible()
    start(bmc)
    expect(visit.followed()).to_contain_text(RESTARTED)
    assert bmc.executed() == ["reset"]


def test_what_others_ask_for_is_shown_in_every_tab_and_after_a_reload(
    system: System, browser: Browser
) -> None:
    bmc, hostname = slow(system)
    key = system.key(hostname, label="nightly job")
    system.rest("POST", f"/api/servers/{hostname}/reboot", key)
    visit = Visit.of(browser, system, hostname)
    other = visit.page.context.new_page()
    other.goto(visit.page.url)
    expect(visit.step("see the machine restart")).to_contain_text("under way")
    visit.page.reload()
    expect(visit.step("see the machine restart")).to_contain_text("under way")
    start(bmc)
    for page in (visit.page, other):
        expect(page.get_by_role("region", name="What goes on")).to_contain_text(RESTARTED)
        operations = page.get_by_role("region", name="Operations")
        expect(operations).to_contain_text("Done")
        expect(operations).to_contain_text("by Key nightly job")
    assert bmc.executed() == ["reset"]


def cut(route: Route) -> None:
    """The way that a stream goes is cut."""
    route.abort()


def keep_back(_: Route) -> None:
    """A proxy on the way keeps a stream back."""


@pytest.mark.parametrize("fault", [cut, keep_back])
def test_an_operation_is_asked_for_again_and_again_where_no_stream_comes(
    system: System, browser: Browser, fault: Callable[[Route], None]
) -> None:
    bmc, hostname = slow(system)
    visit = Visit.of(browser, system, hostname)
    visit.page.route("**/watch", fault)
    visit.confirm(visit.dialog("Reboot"), "Reboot")
    expect(visit.step("see the machine restart")).to_contain_text("under way")
    for _ in range(2):
        with visit.page.expect_request(re.compile(r"/operations/[0-9a-f-]+$")):
            pass
    start(bmc)
    expect(visit.followed()).to_contain_text(RESTARTED)


def test_a_server_is_switched_off_and_on(system: System, bmc: IpmiSim, browser: Browser) -> None:
    visit = Visit.of(browser, system, system.server(bmc))
    expect(visit.power()).to_have_text("On")
    for action, power in (("Switch off", "Off"), ("Switch on", "On")):
        dialog = visit.dialog("Power")
        expect(dialog.get_by_role("button", name="Power", exact=True)).to_be_disabled()
        dialog.get_by_label(action).check()
        visit.confirm(dialog, action)
        expect(visit.followed()).to_contain_text(f"The machine is {power.lower()}.")
        expect(visit.power()).to_have_text(power)
    assert bmc.executed() == ["power_0", "power_1"]


def test_why_an_operation_failed_and_whose_fault_it_is_is_said(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    hostname = system.server(bmc)
    bmc.set_power(on=False)
    visit = Visit.of(browser, system, hostname)
    visit.confirm(visit.dialog("Reboot"), "Reboot")
    alert = visit.followed().get_by_role("alert")
    expect(alert).to_contain_text("You can mend this")
    expect(alert).to_contain_text("SERVER_POWERED_OFF")
    visit.button("Hide").click()
    # It stays among the operations.
    operations = visit.page.get_by_role("region", name="Operations")
    operations.get_by_text("Failed").click()
    expect(operations.get_by_role("alert")).to_contain_text("SERVER_POWERED_OFF")
    expect(operations.get_by_role("listitem").first).to_contain_text("failed")
    assert bmc.executed() == []


def test_an_operation_is_cancelled_while_nothing_was_sent(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    hostname = system.server(bmc)
    bmc.stop()
    visit = Visit.of(browser, system, hostname)
    visit.confirm(visit.dialog("Reboot"), "Reboot")
    expect(visit.step("check the BMC")).to_contain_text("under way")
    visit.confirm(visit.dialog("Cancel this operation"), "Cancel it")
    expect(visit.followed()).to_contain_text("It was cancelled before anything was changed.")
    expect(visit.button("Cancel this operation")).to_have_count(0)
    assert bmc.executed() == []


def test_who_may_only_read_is_offered_nothing_to_do(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    visit = Visit.of(browser, system, system.server(bmc), who=person(system, "READ_ONLY"))
    expect(visit.power()).to_have_text("On")
    for name in ("Reboot", "Power", "Enter rescue", "Install"):
        expect(visit.button(name)).to_have_count(0)
    assert complaints(visit.seen) == []


def test_a_slow_answer_is_waited_for_and_asked_for_once(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    visit = Visit.of(browser, system, system.server(bmc))
    held = hold(visit.page, re.compile("/reboot$"))
    dialog = visit.dialog("Reboot")
    visit.confirm(dialog, "Reboot")
    expect(dialog).to_contain_text("Waiting for the answer")
    expect(dialog.get_by_role("button", name="Reboot", exact=True)).to_be_disabled()
    visit.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    held.release()
    expect(visit.followed()).to_contain_text(RESTARTED)
    assert len(held.routes) == 1
    assert bmc.executed() == ["reset"]


def test_an_answer_that_was_lost_is_asked_for_again_and_done_once(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    visit = Visit.of(browser, system, system.server(bmc))

    def lose(route: Route) -> None:
        assert route.fetch().ok
        route.abort()

    visit.page.route("**/reboot", lose, times=1)
    dialog = visit.dialog("Reboot")
    visit.confirm(dialog, "Reboot")
    expect(dialog).to_contain_text("it is done once")
    eventually(lambda: bmc.executed() == ["reset"])
    # Another wish is not the same one again.
    dialog.get_by_label("Power cycle").check()
    visit.confirm(dialog, "Reboot")
    expect(dialog).to_contain_text("This was accepted before: Reboot")
    dialog.get_by_label("Hard reset").check()
    visit.confirm(dialog, "Reboot")
    expect(visit.followed()).to_contain_text(RESTARTED)
    assert visit.asked("/reboot") == 3
    assert (bmc.executed(), bmc.chassis_commands()) == (["reset"], 1)


def test_into_rescue_with_a_password_that_is_shown_once_and_out_again(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    booting = Booting.of(system, bmc, *IN_RESCUE)
    address = booting.server()["ips"][0]
    visit = Visit.of(browser, system, booting.hostname)
    visit.confirm(visit.dialog("Enter rescue"), "Enter rescue")
    machine = booting.booting()
    told = begin(machine)
    expect(visit.step("see the rescue system call home")).to_contain_text("under way")
    key = host_key()
    machine.report("READY", ssh_host_keys=[key])
    expect(visit.followed()).to_contain_text("you can log in now")
    rescue = visit.page.get_by_role("region", name="Rescue")
    expect(rescue).to_contain_text(f"ssh root@{address}")
    expect(rescue).to_contain_text(fingerprint(key))

    visit.confirm(visit.dialog("Read the password"), "Read the password")
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"ssh root@{address}")
    password = dialog.locator("pre").inner_text()
    assert bcrypt.checkpw(password.encode(), told["password_hash"].encode())
    visit.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    visit.button("I have kept it").click()
    expect(visit.button("Read the password")).to_have_count(0)
    assert password not in visit.page.content()

    visit.confirm(visit.dialog("Exit rescue"), "Exit rescue")
    expect(visit.followed()).to_contain_text("The machine left the rescue system")
    expect(rescue).to_contain_text("Not in rescue")
    assert bmc.executed() == ["power_0", "power_1"] * 2
    assert complaints(visit.seen) == []


def test_an_install_wants_the_hostname_typed_and_its_progress_and_failure_are_shown(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    system.stack.simulated_image("installer", "IMAGE_KIND_INSTALLER")
    form = {"os": "Debian", "version": "12", "image": "installer"}
    assert system.noc("PUT", "/api/noc/templates/debian-12", json=form).status_code == 200
    booting = Booting.of(system, bmc, "server.details", "install.status")
    visit = Visit.of(browser, system, booting.hostname)
    dialog = visit.dialog("Install")
    expect(dialog).to_contain_text("Everything on the disks")
    action = dialog.get_by_role("button", name="Install", exact=True)
    dialog.get_by_label("Operating system").select_option("debian-12")
    expect(action).to_be_disabled()
    typed = dialog.get_by_label(f"Type {booting.hostname} to confirm")
    typed.fill("ns0.example.net")
    expect(action).to_be_disabled()
    typed.fill(booting.hostname)
    assert serious(visit.page) == []
    action.click()
    machine = booting.booting()
    begin(machine)
    machine.report("ALIVE", percent=40, message="<b>writing</b>", log=["partitioned"])
    installation = visit.page.get_by_role("region", name="Installation")
    expect(installation).to_contain_text("40 %")
    expect(installation).to_contain_text("<b>writing</b>")
    machine.report("FAILED", message="no disk was found")
    expect(visit.followed().get_by_role("alert")).to_contain_text("INSTALL_FAILED")
    expect(installation).to_contain_text("Failed")
    assert complaints(visit.seen) == []


GONE = "operations/00000000-0000-4000-8000-000000000000"
KEPT = "An operation is kept for some time"


def test_a_link_to_an_operation_that_is_gone_can_be_put_away(
    system: System, bmc: IpmiSim, browser: Browser
) -> None:
    visit = Visit.of(browser, system, system.server(bmc))
    address = visit.page.url
    visit.page.goto(f"{address}?operation={GONE}")
    linked = visit.linked()
    expect(linked.get_by_role("alert")).to_contain_text("No operation")
    linked.get_by_role("button", name="Hide").click()
    expect(linked).to_have_count(0)
    expect(visit.page).to_have_url(address)


def test_an_operation_of_another_server_is_shown_on_that_ones_page_alone(
    system: System, browser: Browser
) -> None:
    bmc, busy = slow(system)
    visit = Visit.of(browser, system, system.server(system.bmc()))
    key = system.key(busy)
    name = system.rest("POST", f"/api/servers/{busy}/reboot", key).json()["name"]
    visit.page.goto(f"{visit.page.url}?operation={name}")
    linked = visit.linked()
    expect(linked).to_contain_text("It is an operation of another server")
    expect(visit.button("Hide")).to_be_visible()
    expect(visit.button("Cancel this operation")).to_have_count(0)
    expect(linked.get_by_role("listitem")).to_have_count(0)
    linked.get_by_role("link", name=busy).click()
    expect(visit.page.get_by_role("heading", name=busy, level=1)).to_be_visible()
    expect(visit.step("see the machine restart")).to_contain_text("under way")
    start(bmc)
    expect(visit.followed()).to_contain_text(RESTARTED)


def test_how_long_operations_are_kept_is_said_where_one_is_gone_and_nowhere_else(
    system: System, browser: Browser
) -> None:
    page = sign_in(browser, system, person(system, "MEMBER"))
    page.route("**/api/operations/**", cut)
    page.goto(f"{system.stack.url}/console/#/{GONE}")
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()
    # Now: while it is asked for again, no error is known.
    assert page.get_by_text(KEPT).count() == 0
    page.unroute("**/api/operations/**")
    expect(page.get_by_role("alert")).to_contain_text("No operation")
    expect(page.get_by_text(KEPT)).to_be_visible()


def test_a_part_of_the_page_is_jumped_to(system: System, bmc: IpmiSim, browser: Browser) -> None:
    visit = Visit.of(browser, system, system.server(bmc), size=PHONE)
    heading = visit.page.get_by_role("heading", name="Monitoring", exact=True)
    expect(heading).not_to_be_in_viewport()
    visit.page.get_by_role("navigation", name="On this page").get_by_text("Monitoring").click()
    expect(heading).to_be_in_viewport()
    # Where one is, is still the server's page.
    visit.page.reload()
    expect(visit.page.get_by_role("heading", name=visit.hostname, level=1)).to_be_visible()


def test_servers_are_found_and_what_goes_on_is_seen_in_the_list(
    system: System, browser: Browser
) -> None:
    account = "many"
    who = person(system, "MEMBER", account)
    bmc = system.bmc(restarts_visibly=False)
    hostnames = [system.server(bmc, account=account) for _ in range(102)]
    key = system.key(hostnames[0], account=account)
    page = sign_in(browser, system, who, PHONE)
    expect(page.get_by_text("102 servers")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(100)
    page.get_by_role("button", name="Show 2 more").click()
    expect(page.get_by_role("listitem")).to_have_count(102)
    page.get_by_role("searchbox").fill(f"{hostnames[0]} eu-west")
    row = page.get_by_role("listitem")
    expect(row).to_have_count(1)
    system.rest("POST", f"/api/servers/{hostnames[0]}/reboot", key)
    page.reload()
    page.get_by_role("searchbox").fill(hostnames[0])
    expect(row).to_contain_text("Rebooting")
    expect(row.get_by_text("On", exact=True)).to_be_visible()
    assert serious(page) == []
    row.get_by_role("link").click()
    start(bmc)
    expect(page.get_by_role("region", name="What goes on")).to_contain_text(RESTARTED)
