"""Promises 1, 2 and 4: what is accepted once happens once."""

import concurrent.futures
import re
from collections import Counter

import httpx

from lab.ipmi_sim import IpmiSim
from lab.lossy import Direction, LossyProxy
from tests.integration.conftest import IN_THE_CLEAR, Key, System, reason


def _at_once(
    system: System, server: str, key: Key, headers: list[dict[str, str]]
) -> list[httpx.Response]:
    url = f"{system.stack.url}/api/servers/{server}/reboot"
    limits = httpx.Limits(max_connections=50)
    with (
        httpx.Client(verify=IN_THE_CLEAR, timeout=60, limits=limits) as client,
        concurrent.futures.ThreadPoolExecutor(50) as pool,
    ):
        return [*pool.map(lambda each: client.post(url, headers={**key.headers, **each}), headers)]


def test_a_thousand_duplicates_at_once_are_one_operation_and_one_hardware_action(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server)
    answers = _at_once(system, server, key, [{"Idempotency-Key": "duplicate"}] * 1000)
    assert Counter(answer.status_code for answer in answers) == {200: 1000}
    names = {answer.json()["name"] for answer in answers}
    assert len(names) == 1
    assert system.finished(names.pop(), key)["metadata"]["state"] == "SUCCEEDED"
    assert bmc.chassis_commands() == 1


def test_the_same_request_id_with_other_parameters_is_an_error_that_names_the_operation(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server)
    path = f"/api/servers/{server}/reboot"
    first = system.rest("POST", path, key, json={"request_id": "one"})
    other = system.rest("POST", path, key, json={"request_id": "one", "mode": "POWER_CYCLE"})
    assert (other.status_code, reason(other)) == (409, "REQUEST_ID_REUSED")
    assert other.json()["details"][0]["metadata"]["operation"] == first.json()["name"]
    system.finished(first.json()["name"], key)
    assert bmc.chassis_commands() == 1


def test_field_and_header_that_differ_are_refused(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    answer = system.rest(
        "POST",
        f"/api/servers/{server}/reboot",
        key,
        json={"request_id": "one"},
        headers={"Idempotency-Key": "two"},
    )
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert bmc.executed() == []


def test_of_a_hundred_at_once_one_is_accepted_and_the_others_learn_who_holds_the_server(
    system: System,
) -> None:
    bmc = system.bmc(boot_seconds=5.0)  # so that it holds the server until all have asked
    server = system.server(bmc)
    key = system.key(server)
    answers = _at_once(system, server, key, [{}] * 100)
    accepted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert (len(accepted), len(refused)) == (1, 99)
    name = accepted[0].json()["name"]
    for answer in refused:
        details = {each["@type"].rsplit(".", 1)[1]: each for each in answer.json()["details"]}
        assert answer.json()["code"] == 10  # ABORTED
        assert details["ErrorInfo"]["reason"] == "SERVER_BUSY"
        assert details["ErrorInfo"]["metadata"] == {"operation": name, "server": server}
        assert re.fullmatch(r"\d+(\.\d+)?s", details["RetryInfo"]["retry_delay"])
    system.finished(name, key)
    assert bmc.chassis_commands() == 1


def test_a_lost_reply_to_the_command_is_settled_by_looking_at_the_machine(
    system: System, bmc: IpmiSim
) -> None:
    proxy = system.exits.enter_context(LossyProxy(bmc.port))
    # Replies are lost from the moment on at which the command was executed, for a while.
    lost: list[bytes] = []

    def lose_replies(datagram: bytes, direction: Direction) -> bool:
        if direction is Direction.REPLY and bmc.executed() and len(lost) < 1:
            lost.append(datagram)
            return True
        return False

    proxy.drop = lose_replies
    server = system.server(bmc, port=proxy.port)
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    operation = system.finished(name, key)
    assert operation["metadata"]["state"] == "SUCCEEDED", operation
    assert len(lost) == 1
    assert bmc.executed() == ["reset"]
