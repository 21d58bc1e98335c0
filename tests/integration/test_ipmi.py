"""What a BMC says, through the edge: a real one, a silent one and one that refuses."""

from functools import partial

import pytest

from lab.ipmi_sim import IpmiSim
from lab.lossy import LossyProxy
from tests.integration.conftest import ACCOUNT, Key, System, eventually, reason

IPMI = ("ipmi.status", "server.power", "server.details")


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def ipmi(
    system: System, server: str, key: Key, path: str = "", **params: object
) -> dict[str, object]:
    answer = system.rest("GET", f"/api/servers/{server}/ipmi{path}", key, params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_the_status_says_what_the_bmc_is_and_when_it_was_asked(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    told = ipmi(system, server, key, max_age_seconds=0)
    assert (told["reachability"], told["power"]["state"]) == ("CONTACTABLE", "ON")  # type: ignore[index]
    assert (told["firmware"], told["version"], told["manufacturer"]) == ("9.08", "2.0", "4753")
    assert told["features"] == ["EVENT_LOG", "SENSORS"]
    assert told["age_seconds"] == 0
    assert told["check_time"] == told["contact_time"]

    def kept() -> object:
        return ipmi(system, server, key, max_age_seconds=3600)["check_time"]

    # The first regular check may come in between, once.
    eventually(lambda: kept() == kept())
    assert ipmi(system, server, key, max_age_seconds=0)["check_time"] != told["check_time"]


def test_the_list_of_servers_says_which_have_power_and_when_that_was_seen(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)

    def power(path: str, **params: object) -> dict[str, str]:
        answer = system.rest("GET", path, key, params=params).json()
        found: dict[str, str] = answer.get("servers", [answer])[0]["power"]
        return found

    for on, state in ((False, "OFF"), (True, "ON")):
        bmc.set_power(on=on)
        # A check that was under way says what was before.
        asked = partial(power, f"/api/servers/{server}/ipmi", max_age_seconds=0)
        eventually(lambda asked=asked, state=state: asked()["state"] == state)  # type: ignore[misc]
        for path in ("/api/servers", f"/api/servers/{server}"):
            assert power(path)["state"] == state
            assert power(path)["observe_time"]


def test_the_list_of_servers_says_nothing_of_the_power_of_one_that_never_answered(
    system: System, bmc: IpmiSim
) -> None:
    bmc.stop()
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    [told] = system.rest("GET", "/api/servers", key).json()["servers"]
    assert "power" not in told


def test_a_new_server_is_probed_by_itself(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    told = eventually(lambda: ipmi(system, server, key, max_age_seconds=3600))
    assert told["firmware"] == "9.08"


def test_sensors_have_units_and_an_age(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    told = ipmi(system, server, key, "/sensors")
    sensors = {each["name"]: each for each in told["sensors"]}  # type: ignore[attr-defined]
    assert (sensors["FAN 1"]["value"], sensors["FAN 1"]["unit"]) == (5400, "RPM")
    assert sensors["FAN 1"]["health"] == "HEALTH_OK"
    again = ipmi(system, server, key, "/sensors")
    assert again["observe_time"] == told["observe_time"]
    fresh = ipmi(system, server, key, "/sensors", max_age_seconds=0)
    assert fresh["observe_time"] != told["observe_time"]


def test_the_event_log_is_read_page_by_page(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=(*IPMI, "server.reboot"))
    for _ in range(3):
        name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
        assert system.finished(name, key)["metadata"]["state"] == "SUCCEEDED"
    first = ipmi(system, server, key, "/events", page_size=2)
    assert first["total_size"] == 3
    texts = [each["text"] for each in first["events"]]  # type: ignore[attr-defined]
    rest = ipmi(system, server, key, "/events", page_size=2, page_token=first["next_page_token"])
    assert rest["next_page_token"] == ""
    assert len(rest["events"]) == 1  # type: ignore[arg-type]
    assert texts == ["Hard reset"] * 2
    wrong = system.rest(
        "GET", f"/api/servers/{server}/ipmi/events", key, params={"page_token": "eC55"}
    )
    assert (wrong.status_code, reason(wrong)) == (400, "INVALID_REQUEST")


def test_the_stages_of_reaching_it_are_timed(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    stages = system.rest("POST", f"/api/servers/{server}/ipmi/test", key, json={}).json()["stages"]
    assert [(each["name"], each["result"]) for each in stages] == [
        ("PING", "PASSED"),
        ("SESSION", "PASSED"),
        ("PASSWORD", "PASSED"),
    ]
    assert all(0 < each["milliseconds"] < 5000 for each in stages)


def test_a_wrong_password_is_said_and_tried_once_until_it_is_changed(system: System) -> None:
    bmc = system.bmc()
    with LossyProxy(bmc.port) as proxy:
        logins = 0

        def count(datagram: bytes, _direction: object) -> bool:
            nonlocal logins
            logins += datagram[4] == 6 and datagram[5] & 0x3F == 0x12  # RAKP 1
            return False

        proxy.drop = count
        right, bmc.password = bmc.password, "wrong"
        server = system.server(bmc, port=proxy.port)
        key = system.key(server, capabilities=IPMI)
        for _ in range(3):
            told = ipmi(system, server, key, max_age_seconds=0)
            assert told["reachability"] == "AUTH_FAILED"
        refused = system.rest("GET", f"/api/servers/{server}/ipmi/sensors", key)
        assert (refused.status_code, reason(refused)) == (400, "BMC_AUTH_FAILED")
        stages = system.rest("POST", f"/api/servers/{server}/ipmi/test", key, json={}).json()
        assert {each["result"] for each in stages["stages"]} == {"SKIPPED"}
        assert logins == 1
        system.stack.processes["server_ops"].stop()
        system.stack.start_service("server_ops")
        assert ipmi(system, server, key, max_age_seconds=0)["reachability"] == "AUTH_FAILED"
        assert logins == 1
        bmc.password = right
        system.server(bmc, port=proxy.port, hostname=server)
        told = ipmi(system, server, key, max_age_seconds=0)
        assert told["reachability"] == "CONTACTABLE"


def test_of_a_silent_bmc_the_last_that_was_seen_is_told_and_with_its_age(
    system: System, bmc: IpmiSim
) -> None:
    with LossyProxy(bmc.port) as proxy:
        server = system.server(bmc, port=proxy.port)
        key = system.key(server, capabilities=IPMI)
        before = ipmi(system, server, key, max_age_seconds=0)
        proxy.drop = lambda *_: True
        told = ipmi(system, server, key, max_age_seconds=0)
        assert (told["reachability"], told["trouble"]) == ("UNREACHABLE", "NO_ANSWER")
        assert told["power"] == before["power"]
        assert (told["contact_time"], told["firmware"]) == (before["contact_time"], "9.08")
        refused = system.rest(
            "GET", f"/api/servers/{server}/ipmi/sensors", key, params={"max_age_seconds": 0}
        )
        assert (refused.status_code, reason(refused)) == (503, "BMC_UNREACHABLE")
        assert int(refused.headers["retry-after"]) >= 1


def test_a_power_that_nobody_asked_for_is_flagged_and_never_changed_back(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=IPMI)
    url = f"/api/servers/{server}/power"
    name = system.rest("POST", url, key, json={"action": "CYCLE"}).json()["name"]
    assert system.finished(name, key)["metadata"]["state"] == "SUCCEEDED"
    assert "drift" not in ipmi(system, server, key, max_age_seconds=0)
    commands = bmc.chassis_commands()
    bmc.set_power(on=False)
    told = ipmi(system, server, key, max_age_seconds=0)
    assert told["power"]["state"] == "OFF"  # type: ignore[index]
    assert told["drift"]["expected"]["state"] == "ON"  # type: ignore[index]
    since = told["drift"]["since"]  # type: ignore[index]
    assert ipmi(system, server, key, max_age_seconds=0)["drift"]["since"] == since  # type: ignore[index]
    assert bmc.chassis_commands() == commands
    bmc.set_power(on=True)
    assert "drift" not in ipmi(system, server, key, max_age_seconds=0)


@pytest.mark.parametrize("path", ["", "/sensors", "/events"])
def test_another_capability_reads_nothing(system: System, bmc: IpmiSim, path: str) -> None:
    server = system.server(bmc)
    answer = system.rest("GET", f"/api/servers/{server}/ipmi{path}", system.key(server))
    assert (answer.status_code, reason(answer)) == (403, "CAPABILITY_MISSING")


def test_a_bmc_that_speaks_redfish_cannot_be_registered_yet(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    form = {
        "account": ACCOUNT,
        "ips": ["203.0.113.251"],
        "datacenter": "EU-WEST-F2H",
        "mac": "0c:c4:7a:00:00:fd",
        "bmc_address": "192.0.2.1",
        "bmc_username": "admin",
        "bmc_password": "a password that is longer than IPMI has them",
    }
    url = f"/api/noc/servers/{server}"
    too_long = system.noc("PUT", url, json=form)
    assert (too_long.status_code, reason(too_long)) == (400, "INVALID_REQUEST")
