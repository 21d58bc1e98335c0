"""Anti-hack through the edge: two gateways with real fail2bans, one of them over SSH."""

from typing import Any

import pytest

from tests.integration.antihack.conftest import (
    ALL,
    BAD,
    BAD6,
    IPS,
    NEIGHBOUR,
    OF_ALL,
    OF_NEIGHBOUR,
    OF_STRANGER,
    ONE,
    SSHD,
    SSHD6,
    STRANGER,
    WEB,
    Gates,
)
from tests.integration.conftest import eventually, reason
from tests.integration.people import signed_in


def bans(status: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["ip"], each["jail"], each["gateway"]) for each in status["blocked"]}


def test_what_gateways_block_for_a_server_is_told_and_nothing_else(gates: Gates) -> None:
    for jail in (SSHD, OF_NEIGHBOUR, OF_STRANGER, OF_ALL):
        gates.eu.ban(jail, BAD)
    gates.us.ban(SSHD6, BAD6)
    gates.us.ban(OF_STRANGER, "192.0.2.200")
    status = gates.get()
    assert bans(status) == {(BAD, SSHD, "gw.eu"), (BAD6, SSHD6, "gw.us")}
    assert "192.0.2.200" not in str(status)
    assert OF_ALL not in str(status)
    assert OF_NEIGHBOUR not in str(status)
    sources = {(each["gateway"], each["protected_ip"]): each for each in status["sources"]}
    assert sources.keys() == {(gw, ip) for gw in ("gw.eu", "gw.us") for ip in IPS[ONE]}
    assert {each["health"] for each in sources.values()} == {"OK"}
    assert sorted(sources["gw.eu", IPS[ONE][0]]["jails"]) == sorted([SSHD, WEB])
    [ban] = [each for each in status["blocked"] if each["gateway"] == "gw.eu"]
    assert ban["protected_ip"] == IPS[ONE][0]
    assert ban["state"] == "BLOCKED"
    assert 500 < int(ban["remaining_seconds"]) <= 600


def test_a_line_in_a_log_bans_and_an_unban_is_read_back(gates: Gates) -> None:
    log = gates.eu._jails[SSHD]
    with log.open("a") as file:
        file.write(gates.eu.refusal(BAD))
    eventually(lambda: bans(gates.get()) == {(BAD, SSHD, "gw.eu")})
    gates.us.ban(WEB, BAD)
    gates.eu.ban(OF_NEIGHBOUR, BAD)
    gates.eu.ban(OF_ALL, BAD)
    answer = gates.unban(BAD).json()
    assert (answer["jails"], answer["state"]) == (2, "UNBLOCKED")
    results = {each["gateway"]: (each["outcome"], each["jails"]) for each in answer["results"]}
    assert results == {"gw.eu": ("UNBANNED", [SSHD]), "gw.us": ("UNBANNED", [WEB])}
    assert gates.eu.banned(SSHD) == gates.us.banned(WEB) == []
    # What blocks it for others blocks it still.
    assert gates.eu.banned(OF_NEIGHBOUR) == gates.eu.banned(OF_ALL) == [BAD]
    assert gates.get()["blocked"] == []


def test_what_is_not_banned_is_no_error(gates: Gates) -> None:
    answer = gates.unban("192.0.2.1").json()
    assert (answer["jails"], answer["state"]) == (0, "UNBLOCKED")
    assert {each["outcome"] for each in answer["results"]} == {"NOT_BANNED"}


def test_one_jail_alone_can_be_named_if_it_is_the_servers(gates: Gates) -> None:
    for jail in (SSHD, WEB, OF_STRANGER):
        gates.eu.ban(jail, BAD)
    assert gates.unban(BAD, jail=WEB).json()["jails"] == 1
    assert gates.eu.banned(SSHD) == [BAD]
    for jail in (OF_STRANGER, OF_ALL, "sshd", "sshd-203.0.113.99"):
        refused = gates.unban(BAD, jail=jail)
        assert (refused.status_code, reason(refused)) == (404, "NOT_FOUND")
    assert gates.eu.banned(OF_STRANGER) == [BAD]


def test_the_us_call_asks_us_gateways_for_one_address_alone(gates: Gates) -> None:
    for fail2ban in (gates.eu, gates.us):
        fail2ban.ban(SSHD, BAD)
        fail2ban.ban(SSHD6, BAD)
    form = {"ip": IPS[ONE][0], "blocked_ip": BAD}
    answer = gates.system.rest("POST", "/api/us/antihack/unblock", gates.key, json=form).json()
    assert answer["jails"] == 1
    assert [each["gateway"] for each in answer["results"]] == ["gw.us"]
    assert gates.us.banned(SSHD) == []
    assert gates.eu.banned(SSHD) == gates.us.banned(SSHD6) == [BAD]


def test_a_person_lifts_bans_for_the_accounts_servers_alone(gates: Gates) -> None:
    for fail2ban in (gates.eu, gates.us):
        for jail in (SSHD, OF_NEIGHBOUR, OF_STRANGER):
            fail2ban.ban(jail, BAD)
    refused = (403, "SERVER_NOT_GRANTED")
    with signed_in(gates.system) as browser:
        # The neighbour is the account's too; the key of the other tests does not name it.
        for hostname in (ONE, NEIGHBOUR):
            answer = browser.post(f"/api/servers/{hostname}/antihack/unban", {"ip": BAD})
            assert (answer.status_code, answer.json()["jails"]) == (200, 2), answer.text
        gates.us.ban(SSHD, BAD)
        form = {"ip": IPS[ONE][0], "blocked_ip": BAD}
        assert browser.post("/api/us/antihack/unblock", form).json()["jails"] == 1
        trail = browser.get("/api/audit?page_size=3").json()["records"]
        assert [(each["resource"], each["details"]) for each in trail] == [
            (IPS[ONE][0], {"blocked_ip": BAD}),
            (NEIGHBOUR, {"ip": BAD}),
            (ONE, {"ip": BAD}),
        ]
        assert gates.eu.banned(SSHD) == gates.us.banned(SSHD) == gates.us.banned(OF_NEIGHBOUR) == []
        foreign = browser.post(f"/api/servers/{STRANGER}/antihack/unban", {"ip": BAD})
        assert (foreign.status_code, reason(foreign)) == refused
        form = {"ip": IPS[STRANGER][0], "blocked_ip": BAD}
        foreign = browser.post("/api/us/antihack/unblock", form)
        assert (foreign.status_code, reason(foreign)) == refused
    assert gates.eu.banned(OF_STRANGER) == gates.us.banned(OF_STRANGER) == [BAD]


def test_a_gateway_that_is_down_is_named_and_never_an_empty_list(gates: Gates) -> None:
    gates.eu.ban(SSHD, BAD)
    gates.us.stop()
    try:
        status = gates.get()
        health = {each["gateway"]: each["health"] for each in status["sources"]}
        assert health == {"gw.eu": "OK", "gw.us": "NOT_RUNNING"}
        assert all(each["trouble"] for each in status["sources"] if each["gateway"] == "gw.us")
        answer = gates.unban(BAD).json()
        assert (answer["jails"], answer["state"]) == (1, "UNBLOCKING")
        failed = next(each for each in answer["results"] if each["outcome"] == "FAILED")
        assert (failed["gateway"], failed["health"]) == ("gw.us", "NOT_RUNNING")
        form = {"ip": IPS[ONE][0], "blocked_ip": BAD}
        refused = gates.system.rest("POST", "/api/us/antihack/unblock", gates.key, json=form)
        assert (refused.status_code, reason(refused)) == (503, "GATEWAY_UNAVAILABLE")
    finally:
        gates.us.start()


def test_bans_follow_an_address_to_another_server(gates: Gates) -> None:
    gates.eu.ban(SSHD, BAD)
    other = gates.system.key(NEIGHBOUR, capabilities=ALL)
    assert gates.get(NEIGHBOUR, other)["blocked"] == []
    gates.put(ONE, IPS[ONE][1:])
    gates.put(NEIGHBOUR, (*IPS[NEIGHBOUR], IPS[ONE][0]))
    try:
        assert gates.get()["blocked"] == []
        assert bans(gates.get(NEIGHBOUR, other)) == {(BAD, SSHD, "gw.eu")}
        assert gates.unban(BAD).json()["jails"] == 0
        assert gates.eu.banned(SSHD) == [BAD]
    finally:
        gates.put(NEIGHBOUR, IPS[NEIGHBOUR])
        gates.put(ONE, IPS[ONE])


def test_fifty_thousand_bans_are_told_in_pages_each_once(gates: Gates) -> None:
    many = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(50_000)]
    gates.eu.ban(SSHD, *many)
    # Unless asked for now, what was read while they came may be told.
    assert gates.get()["total_blocked"] == len(many)
    seen: list[str] = []
    token = ""
    while True:
        status = gates.get(page_size=1000, page_token=token, max_age_seconds=3600)
        assert status["total_blocked"] == len(many)
        seen += [each["ip"] for each in status["blocked"]]
        token = status["next_page_token"]
        if not token:
            break
    assert sorted(seen) == sorted(many)
    one = gates.get(blocked_ip=many[777])
    assert [each["ip"] for each in one["blocked"]] == [many[777]]
    assert gates.unban(many[777]).json()["jails"] == 1
    assert gates.get(blocked_ip=many[777])["blocked"] == []


def test_how_often_an_address_was_banned_before_is_counted(gates: Gates) -> None:
    def counted(times: int) -> bool:
        return [each["times_before"] for each in gates.get()["blocked"]] == [times]

    gates.eu.ban(WEB, "192.0.2.50")
    assert counted(0)

    def watched() -> bool:
        """The ban was seen; fail2ban tells times in seconds, so the next is another one then."""
        gates.eu.unban(WEB, "192.0.2.50")
        gates.eu.ban(WEB, "192.0.2.50")
        return counted(1)

    eventually(watched, 30)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"ip": BAD, "jail": "x; rm -rf /"}, "jail"),
        ({"ip": BAD, "jail": "../../etc"}, "jail"),
        ({"ip": BAD, "jail": "a\nb"}, "jail"),
        ({"ip": "0x7f.1"}, "ip"),
        ({"ip": "1.2.3.4/0"}, "ip"),
        ({"ip": "1.2.3.4\n"}, "ip"),
        ({"ip": "fe80::1%eth0"}, "ip"),
        ({"ip": ""}, "ip"),
    ],
)
def test_what_is_no_address_or_no_jail_is_refused_and_named(
    gates: Gates, form: dict[str, str], field: str
) -> None:
    path = f"/api/servers/{ONE}/antihack/unban"
    refused = gates.system.rest("POST", path, gates.key, json=form)
    assert (refused.status_code, reason(refused)) == (400, "INVALID_REQUEST")
    assert field in refused.json()["message"]


def test_an_address_in_another_form_is_the_same_address(gates: Gates) -> None:
    gates.eu.ban(SSHD, "1.2.3.4")
    assert gates.unban("::ffff:1.2.3.4").json()["jails"] == 1
    gates.eu.ban(SSHD, BAD6)
    assert gates.unban("2001:0DB8:BAD:0:0:0:0:1").json()["jails"] == 1


def test_a_gateways_time_zone_must_exist_and_networks_must_be_networks(gates: Gates) -> None:
    right = {"region": "EU", "networks": ["198.51.100.0/24"]}
    for wrong, field in (
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"networks": ["198.51.100.7/24"]}, "networks"),
        ({"networks": []}, "networks"),
        ({"region": "eu west"}, "region"),
        ({"ssh": {"address": "gateway.example.net", "user": "f2h"}}, "ssh"),
        ({"fail2ban_socket": "relative"}, "fail2ban_socket"),
    ):
        refused = gates.system.noc("PUT", "/api/noc/gateways/wrong", json={**right, **wrong})
        assert (refused.status_code, reason(refused)) == (400, "INVALID_REQUEST")
        assert field in refused.json()["message"]
    listed = gates.system.noc("GET", "/api/noc/gateways").json()["gateways"]
    assert [each["name"] for each in listed] == ["gw.eu", "gw.us"]
    assert gates.system.noc("DELETE", "/api/noc/gateways/wrong").status_code == 404
