"""A machine whose BMC speaks Redfish, through the whole system."""

from tests.integration.conftest import System, reason


def test_it_is_read_rebooted_and_switched_as_every_other(system: System) -> None:
    bmc = system.redfish()
    server = system.server(bmc)
    may = ["server.details", "server.reboot", "server.power", "ipmi.status", "console.attach"]
    key = system.key(server, capabilities=may)
    url = f"/api/servers/{server}"

    told = system.rest("GET", f"{url}/ipmi?max_age_seconds=0", key).json()
    assert told["reachability"] == "CONTACTABLE"
    assert told["manufacturer"] == "Sushy Emulator"
    assert told["features"] == ["EVENT_LOG", "SENSORS"]
    sensors = system.rest("GET", f"{url}/ipmi/sensors", key).json()["sensors"]
    assert {"name": "CPU Temp", "value": 41.0, "unit": "°C"}.items() <= sensors[0].items()

    for body, path in (
        ({"mode": "HARD"}, "reboot"),
        ({"mode": "POWER_CYCLE"}, "reboot"),
        ({"action": "OFF"}, "power"),
        ({"action": "ON"}, "power"),
    ):
        before = bmc.executed
        answer = system.rest("POST", f"{url}/{path}", key, json=body)
        assert answer.status_code == 200, answer.text
        operation = system.finished(answer.json()["name"], key)
        assert "error" not in operation, operation
        assert bmc.executed == before + 1
    console = system.rest("GET", f"{url}/console", key)
    assert (console.status_code, reason(console)) == (400, "BMC_UNSUPPORTED")
