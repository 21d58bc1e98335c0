"""Power through the edge, to a real BMC; and operations that are called back."""

import pytest

from lab.ipmi_sim import IpmiSim
from lab.lossy import LossyProxy
from tests.integration.conftest import Key, System, eventually, reason

POWER = ("server.details", "server.power")


def change(system: System, server: str, key: Key, action: str, **body: object) -> dict[str, object]:
    answer = system.rest(
        "POST", f"/api/servers/{server}/power", key, json={"action": action, **body}
    )
    assert answer.status_code == 200, answer.text
    operation: dict[str, object] = system.finished(answer.json()["name"], key)
    return operation


def test_a_machine_is_switched_off_and_on_and_asked_to_shut_down(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=POWER)
    told = []
    for action in ("OFF", "OFF", "ON", "CYCLE", "SOFT_OFF"):
        response = change(system, server, key, action)["response"]
        assert isinstance(response, dict)
        told.append((action, response["power"]["state"], response["changed"]))
    assert told == [
        ("OFF", "OFF", True),
        ("OFF", "OFF", False),
        ("ON", "ON", True),
        ("CYCLE", "ON", True),
        ("SOFT_OFF", "OFF", True),
    ]
    assert bmc.executed() == ["power_0", "power_1", "power_0", "power_1", "soft_shutdown"]
    assert bmc.chassis_commands() == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "ON, OFF, SOFT_OFF or CYCLE"),
        ({"action": "ACTION_UNSPECIFIED"}, "ON, OFF, SOFT_OFF or CYCLE"),
        ({"action": "ON", "shutdown_seconds": 60}, "SOFT_OFF alone"),
        ({"action": "SOFT_OFF", "shutdown_seconds": 9}, "10 to 3600"),
    ],
    ids=str,
)
def test_bad_input_is_told_what_would_be_right(
    system: System, bmc: IpmiSim, body: dict[str, object], says: str
) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=POWER)
    answer = system.rest("POST", f"/api/servers/{server}/power", key, json=body)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert says in answer.text
    assert bmc.executed() == []


def test_an_operation_that_waits_for_a_silent_bmc_can_be_cancelled(
    system: System, bmc: IpmiSim
) -> None:
    with LossyProxy(bmc.port) as proxy:
        server = system.server(bmc, port=proxy.port)
        key = system.key(server, capabilities=POWER)
        proxy.drop = lambda *_: True
        url = f"/api/servers/{server}/power"
        name = system.rest("POST", url, key, json={"action": "OFF"}).json()["name"]
        reader = system.key(server, capabilities=["server.details"])
        refused = system.rest("POST", f"/api/{name}/cancel", reader, json={})
        assert (refused.status_code, reason(refused)) == (403, "CAPABILITY_MISSING")
        cancelled = system.rest("POST", f"/api/{name}/cancel", key, json={}).json()
        assert cancelled["metadata"]["state"] == "CANCELLED"
        assert (cancelled["done"], cancelled["error"]["code"]) == (True, 1)
        proxy.drop = lambda *_: False
        # The server is free at once.
        assert change(system, server, key, "CYCLE")["metadata"]["state"] == "SUCCEEDED"  # type: ignore[index]
    assert bmc.chassis_commands() == 1


def test_what_was_sent_or_has_ended_cannot_be_cancelled(system: System) -> None:
    bmc = system.bmc(restarts_visibly=False)
    server = system.server(bmc)
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    eventually(lambda: bmc.chassis_commands() == 1)
    refused = system.rest("POST", f"/api/{name}/cancel", key, json={})
    assert (refused.status_code, reason(refused)) == (400, "NOT_CANCELLABLE")
    assert "cannot be called back" in refused.text
    assert system.finished(name, key)["metadata"]["state"] == "FAILED"
    ended = system.rest("POST", f"/api/{name}/cancel", key, json={})
    assert (ended.status_code, reason(ended)) == (400, "NOT_CANCELLABLE")
    assert bmc.chassis_commands() == 1


def test_a_request_id_makes_a_change_of_power_safe_to_repeat(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=POWER)
    body = {"action": "OFF", "request_id": "once"}
    names = {
        system.rest("POST", f"/api/servers/{server}/power", key, json=body).json()["name"]
        for _ in range(3)
    }
    [name] = names
    system.finished(name, key)
    other = system.rest("POST", f"/api/servers/{server}/power", key, json={**body, "action": "ON"})
    assert reason(other) == "REQUEST_ID_REUSED"
    assert bmc.chassis_commands() == 1
