"""The main job: a scoped key reboots a machine through the edge."""

import subprocess
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import operation_pb2, operation_pb2_grpc, reboot_pb2, reboot_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import System, eventually, reason


def test_the_products_own_curl_executes_one_reset_and_is_seen_to_succeed(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server)
    url = f"{system.stack.url}/api/servers/{server}/reboot"
    curl = ["curl", "-sS", "-X", "POST", url, "-H", f"X-API-Key: {key.secret}"]
    answer = subprocess.run(curl, capture_output=True, text=True, check=True).stdout
    assert '"name":"operations/' in answer
    name = answer.split('"name":"')[1].split('"')[0]
    operation = system.finished(name, key)
    assert operation["metadata"]["state"] == "SUCCEEDED", operation
    assert operation["response"]["proof"] == "EVENT_LOG"
    assert [step["state"] for step in operation["metadata"]["steps"]] == ["DONE"] * 3
    assert all(step["start_time"] <= step["end_time"] for step in operation["metadata"]["steps"])
    assert bmc.executed() == ["reset"]


def test_a_power_cycle_is_one_command_and_proven(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    body = {"mode": "POWER_CYCLE"}
    answer = system.rest("POST", f"/api/servers/{server}/reboot", key, json=body)
    operation = system.finished(answer.json()["name"], key)
    assert operation["metadata"]["state"] == "SUCCEEDED", operation
    assert (bmc.executed(), bmc.chassis_commands()) == (["power_0", "power_1"], 1)


def test_native_grpc_reboots_on_the_same_port(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    operation = reboot_pb2_grpc.RebootServiceStub(system.channel).RebootServer(
        reboot_pb2.RebootServerRequest(hostname=server), metadata=key.metadata, timeout=10
    )
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    request = operation_pb2.GetOperationRequest(id=operation.name.removeprefix("operations/"))

    def ended() -> object:
        now = stub.GetOperation(request, metadata=key.metadata, timeout=10)
        return now if now.done else None

    done = eventually(ended, 40)
    response = reboot_pb2.RebootServerResponse()
    assert done.response.Unpack(response)
    assert response.proof == reboot_pb2.RebootServerResponse.EVENT_LOG
    assert bmc.chassis_commands() == 1


def test_a_machine_that_is_off_is_not_rebooted_and_the_customer_is_told(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server)
    bmc.set_power(on=False)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    operation = system.finished(name, key)
    assert operation["metadata"]["state"] == "FAILED"
    assert operation["metadata"]["fault"] == "CUSTOMER"
    assert operation["error"]["details"][0]["reason"] == "SERVER_POWERED_OFF"
    states = [step["state"] for step in operation["metadata"]["steps"]]
    assert states == ["ERROR", "TODO", "TODO"]
    assert bmc.executed() == []


def test_a_machine_that_is_not_seen_to_restart_is_no_success_and_gets_no_second_command(
    system: System,
) -> None:
    bmc = system.bmc(restarts_visibly=False)
    server = system.server(bmc)
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    operation = system.finished(name, key)
    assert operation["error"]["details"][0]["reason"] == "OUTCOME_UNKNOWN"
    assert bmc.chassis_commands() == 1


def test_a_wrong_bmc_password_ends_the_operation_at_once(system: System, bmc: IpmiSim) -> None:
    right, bmc.password = bmc.password, "wrong"
    server = system.server(bmc)
    bmc.password = right
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    operation = system.finished(name, key, seconds=10)
    assert operation["error"]["details"][0]["reason"] == "BMC_AUTH_FAILED"
    assert operation["metadata"]["fault"] == "PROVIDER"
    assert "wrong" not in str(operation)


def test_a_soft_reboot_shuts_down_and_starts_again(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    body = {"mode": "SOFT", "shutdown_seconds": 10}
    answer = system.rest("POST", f"/api/servers/{server}/reboot", key, json=body)
    operation = system.finished(answer.json()["name"], key)
    assert operation["response"]["proof"] == "POWER_OFF_THEN_ON", operation
    assert bmc.executed() == ["soft_shutdown", "power_1"]
    assert [step["state"] for step in operation["metadata"]["steps"]] == ["DONE"] * 5


@pytest.mark.parametrize(
    "body", [{"shutdown_seconds": 30}, {"mode": "HARD", "hard_if_not_shut_down": True}], ids=str
)
def test_what_is_for_the_mode_soft_alone_is_refused_with_another(
    system: System, bmc: IpmiSim, body: dict[str, object]
) -> None:
    server = system.server(bmc)
    answer = system.rest("POST", f"/api/servers/{server}/reboot", system.key(server), json=body)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_REQUEST")
    assert "SOFT" in answer.text
    assert bmc.executed() == []


def test_a_server_that_moved_to_another_account_stops_to_answer_at_once(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    key = system.key(server)
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    system.finished(name, key)
    moved = system.noc(
        "PUT",
        f"/api/noc/servers/{server}",
        json={
            "account": "other",
            "ips": ["203.0.113.250"],
            "datacenter": "EU-WEST-F2H",
            "mac": "0c:c4:7a:00:00:fe",
            "bmc_address": "127.0.0.1",
            "bmc_port": bmc.port,
            "bmc_username": bmc.username,
            "bmc_password": bmc.password,
        },
    )
    assert moved.status_code == 200, moved.text
    for verb, path in (
        ("GET", f"/api/servers/{server}"),
        ("POST", f"/api/servers/{server}/reboot"),
    ):
        answer = system.rest(verb, path, key)
        assert (answer.status_code, reason(answer)) == (403, "SERVER_NOT_GRANTED")
    assert system.rest("GET", "/api/servers", key).json()["servers"] == []


def test_a_key_is_refused_once_it_expired_and_within_a_second_once_revoked(
    system: System, bmc: IpmiSim
) -> None:
    server = system.server(bmc)
    end = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    short, long = system.key(server, expire_time=end), system.key(server)
    assert system.rest("GET", f"/api/servers/{server}", long).status_code == 200
    system.noc("DELETE", f"/api/keys/{long.id}")
    answer = system.rest("GET", f"/api/servers/{server}", long)
    assert (answer.status_code, reason(answer)) == (401, "KEY_REVOKED")

    def expired() -> bool:
        return system.rest("GET", f"/api/servers/{server}", short).status_code == 401

    eventually(expired, 5)
    assert reason(system.rest("GET", f"/api/servers/{server}", short)) == "KEY_EXPIRED"


def test_a_grpc_error_carries_its_reason_too(system: System) -> None:
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetOperation(operation_pb2.GetOperationRequest(id="x"), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]  # it is a Call too
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.reason == Reason.Name(Reason.CREDENTIAL_MISSING)
