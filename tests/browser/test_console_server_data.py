"""What a server's page shows of its addresses, hardware, measurements, bans and spam state."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from lab.bind import Bind
from lab.fail2ban import Fail2ban
from lab.ipmi_sim import IpmiSim
from lab.ports import HOST
from lab.rbldnsd import Rbldnsd
from lab.router_sim import RouterSim
from lab.sensors import SENSORS, Sensor
from tests.browser.conftest import DESK, Seen, complaints, fits, person, sign_in, watch
from tests.integration.conftest import System, eventually, running

IP, NEIGHBOUR_IP, FAILOVER = "198.18.7.9", "198.18.7.10", "203.0.113.9"
NEIGHBOUR = "neighbour.fleet.example.net"
JAIL, WEB = f"sshd-{IP}", f"nginx_http_auth-{IP}"
BAD, WORSE = "192.0.2.66", "192.0.2.67"
BOOTS = 21
"""More than a page of the event log shows."""

MARKUP = "<b>hot</b>"
"""A name that is no markup, whoever gave it."""
REASON = "<img src=x onerror=alert(1)> Spam was seen."


@dataclass
class Stage:
    """A server with all that its page shows, and the real things that this is about."""

    system: System
    hostname: str
    bmc: IpmiSim
    bind: Bind
    fail2ban: Fail2ban
    zone: Rbldnsd
    router: RouterSim

    def noc(self, verb: str, path: str, **form: Any) -> Any:
        """A call of the NOC's, with what it answers."""
        answer = self.system.noc(verb, f"/api/noc/{path}", **({"json": form} if form else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    short = tmp_path_factory.mktemp("f2b")  # The path of a socket is short.
    with ExitStack() as exits:
        bind = exits.enter_context(
            Bind(folder / "bind", ["18.198.in-addr.arpa"], {"example.net": f"mail A {IP}\n"})
        )
        zone = exits.enter_context(Rbldnsd(folder / "zone", ttl_seconds=1, negative_ttl_seconds=1))
        jails = {jail: short / f"{jail}.log" for jail in (JAIL, WEB)}
        fail2ban = exits.enter_context(Fail2ban(short / "f", jails))
        settings = {
            **bind.settings,
            "F2H_SERVER_OPS_DNS_KEY": bind.key,
            "F2H_SERVER_OPS_PTR_FORWARD_REQUIRED": "true",
            "F2H_SECURITY_DNSBL_ZONE": zone.zone,
            "F2H_SECURITY_DNSBL_RESOLVER": f"{HOST}:{zone.port}",
            "F2H_SECURITY_UNBLOCK_WAIT_SECONDS": "15",
        }
        system = exits.enter_context(running(folder, settings))
        sensors = (*SENSORS, Sensor(MARKUP, 0x01, 1, 7, 1, 0, raw_on=31, raw_off=20))
        bmc = system.bmc(sensors=sensors)
        hostname = system.server(bmc, ip=IP)
        system.server(system.bmc(), ip=NEIGHBOUR_IP, hostname=NEIGHBOUR)
        key = (system.stack.secrets / "f2h_server_ops_ssh_key.pub").read_text()
        router = exits.enter_context(RouterSim(key))
        made = Stage(system, hostname, bmc, bind, fail2ban, zone, router)
        gateway = {"region": "EU", "networks": [f"{IP}/32"]}
        made.noc("PUT", "gateways/gw1", fail2ban_socket=str(fail2ban.socket), **gateway)
        login = {"address": HOST, "port": router.port, "user": "root"}
        made.noc("PUT", "routers/gw1", host_key=router.host_key, **login)
        made.noc("PUT", "networks/failover", cidr="203.0.113.8/29", router="gw1")
        made.noc("PUT", f"ips/{FAILOVER}/failover", hostname=hostname)
        yield made


class Shown:
    """The page of the server, with somebody signed in."""

    def __init__(
        self, stage: Stage, browser: Browser, role: str = "MEMBER", size: Any = DESK
    ) -> None:
        self.page: Page = sign_in(browser, stage.system, person(stage.system, role), size)
        self.seen: Seen = watch(self.page)
        self.page.goto(f"{stage.system.stack.url}/console/#/servers/{stage.hostname}")

    def section(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title, exact=True)

    def refresh(self, title: str) -> None:
        self.section(title).get_by_role("button", name=f"Refresh: {title}").click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def complaints(self) -> list[str]:
        """What it complained of, but for refusals, which browsers call errors as well."""
        return [each for each in complaints(self.seen) if "400 (Bad Request)" not in each]


def test_a_readers_page_shows_everything_and_changes_nothing(
    stage: Stage, browser: Browser
) -> None:
    shown = Shown(stage, browser, "READ_ONLY")
    expect(shown.section("Hardware")).to_contain_text("The BMC answers")
    expect(shown.section("Addresses")).to_contain_text(FAILOVER)
    expect(shown.section("Anti-hack")).to_contain_text("fail2ban on gw1 runs")
    expect(shown.section("Anti-spam")).to_contain_text(IP)
    changing = {"Set PTR", "Change PTR", "Move", "Test the connection", "Unban", "Unblock"}
    for title in ("Addresses", "Hardware", "Monitoring", "Anti-hack", "Anti-spam"):
        buttons = shown.section(title).get_by_role("button").all_inner_texts()
        assert changing.isdisjoint(buttons)
    assert shown.seen.hosts() == {f"127.0.0.1:{stage.system.stack.ports.public}"}
    assert shown.complaints() == []


def test_sensors_have_units_and_a_name_is_text_and_nothing_else(
    stage: Stage, browser: Browser
) -> None:
    shown = Shown(stage, browser)
    hardware = shown.section("Hardware")
    for name, value in (("CPU Temp", "47 °C"), ("FAN 1", "5,400 RPM"), ("12V", "12.06 V")):
        row = hardware.get_by_role("listitem").filter(has_text=name)
        expect(row).to_contain_text(value)
        expect(row).to_contain_text("OK")
    row = hardware.get_by_role("listitem").filter(has_text="hot")
    expect(row).to_contain_text(MARKUP)
    expect(row.locator("b")).to_have_text(["31 °C"])
    assert shown.complaints() == []


def test_the_connection_is_tested_stage_by_stage(stage: Stage, browser: Browser) -> None:
    shown = Shown(stage, browser)
    shown.button("Test the connection").click()
    stages = shown.page.get_by_role("list", name="Result of the test").get_by_role("listitem")
    expect(stages).to_have_count(3)
    for told in stages.all_inner_texts():
        assert "passed" in told
        assert " ms" in told


def test_the_event_log_is_read_when_asked_for_and_the_newest_is_first(
    stage: Stage, browser: Browser
) -> None:
    for offset in (*[0] * BOOTS, 1):
        stage.bmc.record_start(offset)
    shown = Shown(stage, browser)
    shown.button("Read the event log").click()
    log = shown.page.get_by_role("list", name="Event log").get_by_role("listitem")
    expect(log).to_have_count(20)
    expect(log.first).to_contain_text("Hard reset")
    expect(log.nth(1)).not_to_contain_text("Hard reset")
    shown.page.get_by_role("navigation", name="Pages of the event log").get_by_role(
        "button", name="Next"
    ).click()
    expect(log).to_have_count(BOOTS + 1 - 20)
    assert shown.complaints() == []


def test_a_ptr_record_is_set_when_the_name_leads_back_and_removed(
    stage: Stage, browser: Browser
) -> None:
    shown = Shown(stage, browser)
    shown.button(f"Set PTR of {IP}").click()
    name = shown.dialog.get_by_label("Name", exact=True)
    name.fill("mail")
    shown.button("Save").click()
    expect(shown.dialog.get_by_role("alert")).to_contain_text("fully qualified")
    name.fill("elsewhere.example.net")
    shown.button("Save").click()
    expect(shown.dialog.get_by_role("alert")).to_contain_text("elsewhere.example.net")
    assert stage.bind.dig("-x", IP) == []

    name.fill("mail.example.net")
    shown.button("Save").click()
    expect(shown.dialog).to_contain_text("The name leads back to the address.")
    assert stage.bind.dig("-x", IP) == ["mail.example.net."]
    shown.dialog.get_by_role("button", name="Close").last.click()
    expect(shown.section("Addresses")).to_contain_text("PTR mail.example.net")

    shown.button(f"Change PTR of {IP}").click()
    shown.button("Remove the record").click()
    expect(shown.dialog).to_contain_text("mail.example.net")
    shown.button("Remove the record").click()
    expect(shown.section("Addresses")).to_contain_text(f"{IP} has no PTR record any more.")
    assert stage.bind.dig("-x", IP) == []
    assert shown.complaints() == []


def test_a_failover_address_moves_once_both_machines_were_named(
    stage: Stage, browser: Browser
) -> None:
    stage.router.routes[FAILOVER] = IP
    shown = Shown(stage, browser)
    shown.button(f"Move {FAILOVER} to another server").click()
    confirm = shown.dialog.get_by_role("button", name="Move", exact=True)
    expect(confirm).to_be_disabled()
    shown.dialog.get_by_label("To", exact=True).select_option(NEIGHBOUR)
    expect(shown.dialog).to_contain_text(f"{stage.hostname} loses {FAILOVER}")
    shown.button(f"Move to {NEIGHBOUR}").click()
    expect(shown.section("Addresses")).to_contain_text(f"{FAILOVER} to {NEIGHBOUR}")
    eventually(lambda: stage.router.routes[FAILOVER] == NEIGHBOUR_IP)

    def gone() -> bool:
        shown.refresh("Addresses")
        return shown.button(f"Move {FAILOVER} to another server").count() == 0

    eventually(gone)
    assert shown.complaints() == []


def test_an_address_is_unbanned_by_fail2ban_itself(stage: Stage, browser: Browser) -> None:
    stage.fail2ban.ban(JAIL, BAD, WORSE)
    stage.fail2ban.ban(WEB, BAD)
    shown = Shown(stage, browser)
    shown.refresh("Anti-hack")
    section = shown.section("Anti-hack")
    blocked = section.get_by_role("list", name="Blocked addresses").get_by_role("listitem")
    expect(blocked).to_have_count(3)
    section.get_by_label("Find an address").fill(WORSE)
    shown.button("Find").click()
    expect(blocked).to_have_count(1)
    section.get_by_label("Find an address").fill("not one")
    shown.button("Find").click()
    expect(section.get_by_role("alert").first).to_contain_text("must be an IPv4 or IPv6 address")
    shown.button("Show all").click()
    expect(blocked).to_have_count(3)

    shown.button(f"Unban {BAD} in {JAIL}").click()
    expect(shown.dialog).to_contain_text(f"Unban {BAD}?")
    shown.dialog.get_by_label(f"Only in {JAIL}").check()
    shown.button("Unban").click()
    expect(shown.dialog).to_contain_text("confirmed it of 1 jail")
    assert stage.fail2ban.banned(JAIL) == [WORSE]
    assert stage.fail2ban.banned(WEB) == [BAD]
    shown.dialog.get_by_role("button", name="Close").last.click()
    expect(blocked).to_have_count(2)
    assert shown.complaints() == []


def test_a_fail2ban_that_is_stopped_is_never_shown_as_no_bans(
    stage: Stage, browser: Browser
) -> None:
    shown = Shown(stage, browser)
    section = shown.section("Anti-hack")
    expect(section).to_contain_text("fail2ban on gw1 runs")
    stage.fail2ban.stop()
    try:
        shown.refresh("Anti-hack")
        expect(section).to_contain_text("fail2ban is not running on gw1")
        expect(section).to_contain_text("not every gateway says what it blocks")
        expect(section.get_by_text("No address is blocked.")).to_have_count(0)
    finally:
        stage.fail2ban.start()
    assert shown.complaints() == []


def test_a_block_is_lifted_after_its_wait_and_what_spamhaus_says_is_another_fact(
    stage: Stage, browser: Browser
) -> None:
    stage.zone.hold({IP: ["127.0.0.2"]})
    shown = Shown(stage, browser)
    section = shown.section("Anti-spam")
    expect(section).to_contain_text(IP)
    # Its wait is short, so the page is there before.
    stage.noc("PUT", f"antispam/blocks/{IP}", reason=REASON)
    shown.refresh("Anti-spam")
    expect(section).to_contain_text("blocked for spam")
    expect(section).to_contain_text(REASON)
    expect(section.locator("img")).to_have_count(0)
    unblock = shown.button(f"Unblock port 25 of {IP}")
    expect(unblock).to_be_disabled()
    expect(section.get_by_role("timer")).to_contain_text("sec")

    def listed(state: str) -> None:
        def told() -> bool:
            shown.refresh("Anti-spam")
            return section.get_by_text(state, exact=True).count() > 0

        eventually(told)

    listed("listed")
    expect(section).to_contain_text("SBL: Spamhaus Block List")
    link = section.get_by_role("link")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(unblock).to_be_enabled()
    unblock.click()
    shown.button("Unblock").click()
    expect(shown.dialog.get_by_role("alert")).to_contain_text("SBL")
    shown.button("Cancel").click()

    stage.zone.stop()
    try:
        listed("not known")
        expect(section.get_by_text("on no list", exact=True)).to_have_count(0)
    finally:
        stage.zone.hold({})
        stage.zone.start()
    listed("on no list")
    unblock.click()
    shown.button("Unblock").click()
    expect(shown.dialog).to_have_count(0)
    eventually(lambda: not stage.noc("GET", "antispam/blocks")["blocks"])
    listed("not blocked")
    assert shown.seen.hosts() == {f"127.0.0.1:{stage.system.stack.ports.public}"}
    assert shown.complaints() == []


def test_what_was_measured_is_drawn_and_told_in_figures(stage: Stage, browser: Browser) -> None:
    key = stage.system.key(stage.hostname, capabilities=["monitoring.read"])
    path = f"/api/servers/{stage.hostname}/monitoring"
    eventually(lambda: stage.system.rest("GET", path, key).json()["series"], 90)
    shown = Shown(stage, browser)
    table = shown.page.get_by_role("table", name="Figures: Temperature, in °C")
    row = table.get_by_role("row").filter(has_text="CPU Temp")
    expect(row.get_by_role("cell")).to_have_text(["47", "47", "47"])
    chart = shown.page.get_by_role("img", name="Chart: Temperature")
    for swatch in table.locator(".swatch").all():
        colour = swatch.evaluate("swatch => getComputedStyle(swatch).color")
        eventually(partial(_has_colour, chart, colour))
    shown.section("Monitoring").get_by_text("Year", exact=True).click()
    expect(shown.section("Monitoring")).to_contain_text("A point a day.")
    shown.page.set_viewport_size({"width": 360, "height": 740})
    eventually(lambda: fits(shown.page))
    eventually(lambda: chart.locator("canvas").bounding_box()["width"] < 340)  # type: ignore[index]
    assert shown.complaints() == []


def test_a_silent_bmc_is_shown_with_what_was_last_seen_and_when(
    stage: Stage, browser: Browser
) -> None:
    shown = Shown(stage, browser)
    hardware = shown.section("Hardware")
    expect(hardware).to_contain_text("47 °C")
    stage.bmc.stop()
    try:
        shown.refresh("Hardware")
        expect(hardware).to_contain_text("The BMC does not answer")
        expect(hardware).to_contain_text("Power, last seen")
        expect(hardware).to_contain_text("These are the last readings that we have")
        expect(hardware).to_contain_text("47 °C")
        expect(hardware.get_by_text(re.compile("^Read .* (ago|now)$"))).to_be_visible()
        # The others go on.
        expect(shown.section("Addresses")).to_contain_text(IP)
    finally:
        stage.bmc.start()


def _has_colour(chart: Locator, colour: str) -> bool:
    """Whether its canvas has a pixel of this colour, as a browser writes it: "rgb(1, 2, 3)"."""
    found: bool = chart.locator("canvas").evaluate(
        """(canvas, colour) => {
          const { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const pixels = copy.getImageData(0, 0, width, height).data;
          for (let at = 0; at < pixels.length; at += 4) {
            const [red, green, blue, alpha] = pixels.slice(at, at + 4);
            if (alpha === 255 && colour === `rgb(${red}, ${green}, ${blue})`) return true;
          }
          return false;
        }""",
        colour,
    )
    return found
