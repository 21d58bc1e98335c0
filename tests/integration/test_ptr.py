"""PTR records over REST, in a real BIND 9."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.bind import Bind
from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import Key, System, reason, running
from tests.integration.people import signed_in

IPV4 = "198.18.7.9"
IPV6 = "2001:db8:0:7::9"
CLASSLESS = "198.17.0.9"
FOREIGN = "192.0.2.77"
"""In a zone that the server does not have."""
GUARDED = "198.16.0.1"
"""In a zone that it has, and that the key may not change."""

FORWARD = f"""\
mail A {IPV4}
mail AAAA {IPV6}
mail A {CLASSLESS}
other A 203.0.113.1
alias CNAME mail
"""


class Named:
    """A server with addresses, a key that may name them, and the DNS that holds the names."""

    def __init__(self, system: System, bind: Bind, bmc: IpmiSim) -> None:
        self.system = system
        self.bind = bind
        self.key: Key | None = None
        for number, ip in enumerate((IPV4, IPV6, CLASSLESS, FOREIGN, GUARDED)):
            system.server(bmc, hostname=f"ptr{number}.example.net", ip=ip)
        hosts = [f"ptr{number}.example.net" for number in range(5)]
        self.key = system.key(*hosts, capabilities=["ptr.update", "ip.manage"])

    def call(self, verb: str, ip: str, name: str = "") -> httpx.Response:
        body = {"json": {"ptr": name}} if verb == "PUT" else {}
        return self.system.rest(verb, f"/api/ips/{ip}/ptr", self.key, **body)


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with Bind(
        tmp_path_factory.mktemp("dns") / "bind",
        ["18.198.in-addr.arpa", "0-31.0.17.198.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"],
        {
            # RFC 2317: the parent zone says who names the addresses of a small network.
            "17.198.in-addr.arpa": "9.0 CNAME 9.0-31.0.17.198.in-addr.arpa.",
            "16.198.in-addr.arpa": "",
            "example.net": FORWARD,
        },
    ) as started:
        yield started


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, bind: Bind) -> Iterator[Named]:
    settings = {**bind.settings, "F2H_SERVER_OPS_DNS_KEY": bind.key}
    with running(tmp_path_factory.mktemp("named"), settings) as system:
        yield Named(system, bind, system.bmc())


@pytest.mark.parametrize("ip", [IPV4, IPV6, CLASSLESS])
def test_bind_answers_with_what_was_set(named: Named, ip: str) -> None:
    answer = named.call("PUT", ip, "Mail.Example.NET.")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["ptr"], told["forward"], told["ttl_seconds"]) == (
        "mail.example.net",
        "CONFIRMED",
        3600,
    )
    record = told["record_name"]
    assert named.bind.dig(record, "PTR") == ["mail.example.net."]
    # What a resolver asks is the reverse name itself; it follows the alias of a small network.
    assert named.bind.dig("-x", ip) == [f"{record}." if ip == CLASSLESS else "mail.example.net."]
    assert named.call("GET", ip).json() == told

    changed = named.call("PUT", ip, "other.example.net").json()
    assert (changed["ptr"], changed["forward"]) == ("other.example.net", "NOT_CONFIRMED")
    assert named.bind.dig(record, "PTR") == ["other.example.net."]

    assert named.call("DELETE", ip).status_code == 200
    assert named.bind.dig(record, "PTR") == []
    for verb in ("GET", "DELETE"):
        gone = named.call(verb, ip)
        assert (gone.status_code, reason(gone)) == (404, "NOT_FOUND")


def test_a_person_sets_and_removes_the_records_of_the_account(named: Named) -> None:
    path = f"/api/ips/{IPV4}/ptr"
    with signed_in(named.system) as browser:
        answer = browser.send("PUT", path, {"ptr": "mail.example.net"})
        assert (answer.status_code, answer.json()["ptr"]) == (200, "mail.example.net"), answer.text
        assert named.bind.dig("-x", IPV4) == ["mail.example.net."]
        assert browser.send("DELETE", path).status_code == 200
        assert named.bind.dig("-x", IPV4) == []


def test_the_record_of_a_classless_delegation_is_in_the_small_zone(named: Named) -> None:
    told = named.call("PUT", CLASSLESS, "mail.example.net").json()
    assert told["record_name"] == "9.0-31.0.17.198.in-addr.arpa"


def test_the_zones_serial_counts_up(named: Named) -> None:
    def serial() -> int:
        return int(named.bind.dig("18.198.in-addr.arpa", "SOA")[0].split()[2])

    named.call("PUT", IPV4, "mail.example.net")
    before = serial()
    named.call("PUT", IPV4, "other.example.net")
    assert serial() > before


def test_what_is_written_to_a_zone_of_anothers_is_refused_with_the_reason(named: Named) -> None:
    refusal = named.call("PUT", GUARDED, "mail.example.net")
    assert (refusal.status_code, reason(refusal)) == (400, "DNS_REFUSED")
    assert refusal.json()["details"][0]["metadata"]["rcode"] == "REFUSED"
    refusal = named.call("PUT", FOREIGN, "mail.example.net")
    assert (refusal.status_code, reason(refusal)) == (400, "DNS_REFUSED")
    assert "not authoritative" in refusal.json()["message"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "mail",
        "mail..example.net",
        "-mail.example.net",
        "mail_1.example.net",
        "mail.example.net\n",
        "mail.example.net. extra",
        "münchen.example.net",
        f"{'a' * 64}.example.net",
        f"{'a.' * 127}net",
        "192.0.2.1",
        "*.example.net",
    ],
)
def test_a_name_that_is_none_is_refused(named: Named, name: str) -> None:
    refusal = named.call("PUT", IPV4, name)
    assert (refusal.status_code, reason(refusal)) == (400, "INVALID_REQUEST")
    assert "fully qualified" in refusal.text


def test_an_address_in_another_form_is_the_same_address(named: Named) -> None:
    named.call("PUT", IPV6, "mail.example.net")
    long = "2001:0DB8:0000:0007:0000:0000:0000:0009"
    assert named.call("GET", long).json()["ip"] == IPV6


def test_the_list_of_addresses_shows_what_the_dns_holds(named: Named) -> None:
    named.call("PUT", IPV4, "mail.example.net")
    answer = named.system.rest("GET", "/api/servers/ptr0.example.net/ips", named.key)
    [ip] = answer.json()["ips"]
    assert (ip["ptr"], ip["ptr_state"], ip["role"]) == ("mail.example.net", "PTR_SET", "PRIMARY")
    answer = named.system.rest("GET", "/api/servers/ptr3.example.net/ips", named.key)
    assert answer.json()["ips"][0]["ptr_state"] == "PTR_UNKNOWN"


def test_a_server_that_is_away_is_told_and_nothing_is_changed(named: Named) -> None:
    named.call("PUT", IPV4, "mail.example.net")
    named.bind.stop()
    try:
        for verb in ("GET", "PUT", "DELETE"):
            refusal = named.call(verb, IPV4, "other.example.net")
            assert (refusal.status_code, reason(refusal)) == (503, "DEPENDENCY_UNAVAILABLE")
    finally:
        named.bind.start()
    assert named.call("GET", IPV4).json()["ptr"] == "mail.example.net"


def test_a_name_that_does_not_lead_back_is_refused_if_the_provider_asks_for_it(
    bind: Bind, tmp_path: Path
) -> None:
    settings = {
        **bind.settings,
        "F2H_SERVER_OPS_DNS_KEY": bind.key,
        "F2H_SERVER_OPS_PTR_FORWARD_REQUIRED": "true",
    }
    with running(tmp_path, settings) as system:
        named = Named(system, bind, system.bmc())
        refusal = named.call("PUT", IPV4, "other.example.net")
        assert (refusal.status_code, reason(refusal)) == (400, "FORWARD_NOT_CONFIRMED")
        for name in ("mail.example.net", "alias.example.net"):
            assert named.call("PUT", IPV4, name).json()["ptr"] == name
