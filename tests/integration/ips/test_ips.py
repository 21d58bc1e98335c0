"""The addresses of servers over REST, and moving them by a simulated router."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.router_sim import RouterSim
from tests.integration.conftest import eventually, reason
from tests.integration.ips.conftest import FAILOVER, FAILOVER6, ONE, OTHER, THIRD, Moving


def test_the_addresses_of_a_server_are_listed_with_what_is_known_of_them(
    moving: Moving, router: RouterSim
) -> None:
    extra = ["192.0.2.2", "203.0.113.77", "2001:db8:1::2"]
    assert moving.put_server(ONE, extra).status_code == 200
    listed = {ip["ip"]: ip for ip in moving.ips(ONE)}
    assert [(ip["ip"], ip["role"]) for ip in listed.values()] == [
        ("192.0.2.2", "PRIMARY"),
        ("2001:db8:1::2", "PRIMARY"),
        ("203.0.113.77", "ADDITIONAL"),
        ("2001:db8:f::9", "FAILOVER"),
        ("203.0.113.9", "FAILOVER"),
    ]
    assert listed[FAILOVER]["network"] == "203.0.113.8/29"
    extra_ip = listed["203.0.113.77"]
    assert (extra_ip["network"], extra_ip["prefix_length"], extra_ip["gateway"]) == (
        "203.0.113.0/24",
        24,
        "203.0.113.1",
    )
    assert extra_ip["family"] == "IPV4"
    assert extra_ip["antispam_path"] == f"/api/servers/{ONE}/antispam"
    # No DNS server is set up here: that is not the same as no record.
    assert {ip["ptr_state"] for ip in listed.values()} == {"PTR_UNKNOWN"}
    assert not any(ip["moving"] for ip in listed.values())


@pytest.mark.parametrize(
    ("ip", "hop"), [(FAILOVER, "192.0.2.6"), (FAILOVER6, "2001:db8:2::2")], ids=["IPv4", "IPv6"]
)
def test_a_failover_address_moves_and_the_router_sends_it_there(
    moving: Moving, router: RouterSim, ip: str, hop: str
) -> None:
    ended = moving.moved(ip, OTHER)
    response = ended["response"]
    assert (response["from"], response["to"], response["next_hop"]) == (ONE, OTHER, hop)
    assert ended["metadata"]["kind"] == "IP_MOVE"
    assert router.routes[ip] == hop
    assert ip in {each["ip"] for each in moving.ips(OTHER)}
    assert ip not in {each["ip"] for each in moving.ips(ONE)}
    back = moving.moved(ip, ONE)
    assert back["response"]["from"] == OTHER
    assert len(router.commands) == 2


def test_a_move_to_where_it_is_is_refused(moving: Moving, router: RouterSim) -> None:
    refusal = moving.move(FAILOVER, ONE)
    assert (refusal.status_code, reason(refusal)) == (400, "IP_ALREADY_THERE")
    assert router.commands == []


def test_the_same_request_again_is_the_same_move(moving: Moving, router: RouterSim) -> None:
    first = moving.move(FAILOVER, OTHER, request_id="once")
    moving.system.finished(first.json()["name"], moving.key)
    again = moving.move(FAILOVER, OTHER, request_id="once")
    assert again.json()["name"] == first.json()["name"]
    assert len(router.commands) == 1


def test_only_failover_addresses_move(moving: Moving, router: RouterSim) -> None:
    moving.noc("PUT", "networks/own", cidr="192.0.2.0/24", router="gw1")
    refusal = moving.move("192.0.2.2", OTHER)
    assert (refusal.status_code, reason(refusal)) == (400, "IP_NOT_MOVABLE")


def test_both_servers_must_be_the_keys(moving: Moving, router: RouterSim) -> None:
    for ip, hostname in ((FAILOVER, THIRD), ("203.0.113.200", OTHER)):
        refusal = moving.move(ip, hostname)
        assert (refusal.status_code, reason(refusal)) == (403, "SERVER_NOT_GRANTED")
    moving.failover(FAILOVER, THIRD)
    refusal = moving.move(FAILOVER, ONE)
    assert (refusal.status_code, reason(refusal)) == (403, "SERVER_NOT_GRANTED")


def test_an_address_that_moved_is_no_longer_the_old_servers(
    moving: Moving, router: RouterSim
) -> None:
    only_one = moving.system.key(ONE, capabilities=["ptr.update"])
    path = f"/api/ips/{FAILOVER}/ptr"
    assert reason(moving.system.rest("GET", path, only_one)) == "NOT_SET_UP"
    moving.moved(FAILOVER, OTHER)
    assert reason(moving.system.rest("GET", path, only_one)) == "SERVER_NOT_GRANTED"


def test_of_many_at_once_one_moves_it(moving: Moving, router: RouterSim) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [*pool.map(lambda _: moving.move(FAILOVER, OTHER), range(20))]
    [accepted] = [each for each in answers if each.status_code == 200]
    refusals = {reason(each) for each in answers if each.status_code != 200}
    assert refusals <= {"IP_BUSY", "SERVER_BUSY", "IP_ALREADY_THERE"}
    moving.system.finished(accepted.json()["name"], moving.key)
    assert len(router.commands) == 1


def test_an_address_that_is_being_moved_is_busy_and_says_by_what(
    moving: Moving, router: RouterSim
) -> None:
    router.silent = True
    name = moving.move(FAILOVER, OTHER).json()["name"]
    eventually(lambda: router.commands)
    assert moving.ips(ONE)[-1]["moving"] == name
    refusal = moving.system.noc(
        "PUT", f"/api/noc/ips/{FAILOVER}/failover", json={"hostname": THIRD}
    )
    assert (refusal.status_code, reason(refusal)) == (409, "IP_BUSY")
    refusal = moving.system.noc("DELETE", f"/api/noc/servers/{ONE}")
    assert (refusal.status_code, reason(refusal)) == (409, "SERVER_BUSY")
    router.silent = False
    # The router did what it was told, and said nothing: what it does settles it.
    assert "response" in moving.system.finished(name, moving.key)


def test_a_router_that_refuses_leaves_everything_as_it_was(
    moving: Moving, router: RouterSim
) -> None:
    router.refuses = True
    error = moving.moved(FAILOVER, OTHER)["error"]
    assert error["details"][0]["reason"] == "ROUTER_FAILED"
    assert FAILOVER in {each["ip"] for each in moving.ips(ONE)}
    router.refuses = False
    assert "response" in moving.moved(FAILOVER, OTHER)


def test_a_router_that_is_away_or_another_is_told(moving: Moving, router: RouterSim) -> None:
    router.stop()
    error = moving.moved(FAILOVER, OTHER)["error"]
    assert error["details"][0]["reason"] == "ROUTER_FAILED"
    assert "cannot be reached" in error["message"]


def test_a_router_with_another_host_key_is_not_spoken_to(
    moving: Moving, router: RouterSim, public_key: str
) -> None:
    with RouterSim(public_key) as impostor:
        form = {"address": "127.0.0.1", "port": impostor.port, "user": "root"}
        moving.noc("PUT", "routers/gw1", host_key=router.host_key, **form)
        error = moving.moved(FAILOVER, OTHER)["error"]
        assert "another host key" in error["message"]
        assert impostor.commands == []


def test_a_move_of_which_nobody_knows_can_be_asked_for_in_either_direction(
    moving: Moving, router: RouterSim
) -> None:
    router.silent = True
    error = moving.moved(FAILOVER, OTHER)["error"]
    assert error["details"][0]["reason"] == "OUTCOME_UNKNOWN"
    router.silent = False
    assert "response" in moving.moved(FAILOVER, ONE)
    assert router.routes[FAILOVER] == "192.0.2.2"


def test_what_has_no_router_is_moved_by_nobody(moving: Moving, router: RouterSim) -> None:
    moving.failover("198.51.100.9", ONE)
    refusal = moving.move("198.51.100.9", OTHER)
    assert (refusal.status_code, reason(refusal)) == (400, "NOT_SET_UP")


def test_an_address_needs_one_of_its_family_to_be_routed_to(
    moving: Moving, router: RouterSim
) -> None:
    assert moving.put_server(OTHER, ["192.0.2.6"]).status_code == 200
    refusal = moving.move(FAILOVER6, OTHER)
    assert (refusal.status_code, reason(refusal)) == (400, "INVALID_REQUEST")
    assert "IPv6" in refusal.json()["message"]
    moving.put_server(OTHER, ["192.0.2.6", "2001:db8:2::2"])


def test_the_noc_is_told_what_is_wrong(moving: Moving, router: RouterSim) -> None:
    def refused(verb: str, path: str, **form: object) -> tuple[int, str]:
        answer = moving.system.noc(verb, f"/api/noc/{path}", **({"json": form} if form else {}))
        return answer.status_code, reason(answer)

    assert refused("DELETE", "routers/gw1") == (400, "INVALID_REQUEST")
    login = {"address": "127.0.0.1", "user": "root", "host_key": "ssh-ed25519 AAAA"}
    assert refused("PUT", "routers/gw2", **login) == (400, "INVALID_REQUEST")
    assert refused("DELETE", "routers/none") == (404, "NOT_FOUND")
    assert refused("DELETE", "networks/none") == (404, "NOT_FOUND")
    again = refused("PUT", "networks/again", cidr="203.0.113.8/29")
    assert again == (409, "ALREADY_EXISTS")
    for form in (
        {"cidr": "203.0.113.9/29"},
        {"cidr": "203.0.113.0/24", "router": "none"},
        {"cidr": "203.0.113.0/24", "gateway": "2001:db8::1"},
        {"cidr": "203.0.113.0/24", "gateway": "x; rm -rf /"},
    ):
        assert refused("PUT", "networks/new", **form) == (400, "INVALID_REQUEST")
    own = refused("PUT", "ips/192.0.2.2/failover", hostname=OTHER)
    assert own == (409, "ALREADY_EXISTS")
    assert refused("PUT", f"ips/{FAILOVER}/failover", hostname="nobody.example.net")[0] == 404
    assert refused("DELETE", "ips/192.0.2.2/failover") == (404, "NOT_FOUND")
    assert moving.put_server(THIRD, [FAILOVER]).status_code == 409
    moving.noc("DELETE", f"ips/{FAILOVER}/failover")
    listed = moving.noc("GET", "networks")["networks"]
    assert "failover6" in {network["name"] for network in listed}
    [listed_router] = moving.noc("GET", "routers")["routers"]
    assert listed_router["host_key"] == router.host_key
