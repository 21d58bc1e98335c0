"""Operations through the edge: listed, watched live, waited for by Google's own client."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from f2h.server_ops.v1 import operation_pb2, operation_pb2_grpc, reboot_pb2
from google.api_core import exceptions, operations_v1
from google.api_core import operation as api_core
from google.longrunning import operations_pb2

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import ACCOUNT, Key, System, reason
from tests.unit.serving import info_of, status_of


def begun(system: System, server: str, key: Key) -> str:
    """The name of a reboot that has just been accepted."""
    return str(system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"])


def watched(system: System, name: str, key: Key, **options: Any) -> Iterator[tuple[float, Any]]:
    """Each event of a watch over REST, and when it came."""
    url = f"{system.stack.url}/api/{name}/watch"
    with httpx.stream("GET", url, headers=key.headers, timeout=60, **options) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield time.monotonic(), json.loads(line.removeprefix("data: "))


def test_a_watch_over_rest_is_events_that_come_live(system: System) -> None:
    server = system.server(system.bmc(boot_seconds=2))
    key = system.key(server)
    events = [*watched(system, begun(system, server, key), key)]
    times = [moment for moment, _ in events]
    operations = [operation for _, operation in events]
    assert not operations[0]["done"]
    assert times[-1] - times[0] > 1.5, "the first one came before the operation ended"
    assert operations[-1]["metadata"]["state"] == "SUCCEEDED"
    assert [each["done"] for each in operations].count(True) == 1
    updates = [each["metadata"]["update_time"] for each in operations]
    assert updates == sorted(updates)


def test_a_watch_goes_on_for_longer_than_a_call_may(system: System) -> None:
    """The deadline of other calls, 15 s, does not end a stream."""
    body = {"mode": "SOFT", "shutdown_seconds": 20}
    bmc_ignores = system.bmc(ignores_commands=True)
    silent = system.server(bmc_ignores)
    key = system.key(silent)
    name = system.rest("POST", f"/api/servers/{silent}/reboot", key, json=body).json()["name"]
    begin = time.monotonic()
    *_, (end, last) = watched(system, name, key)
    assert end - begin > 16
    assert last["error"]["details"][0]["reason"] == "SHUTDOWN_NOT_SEEN"


def test_native_grpc_watches_on_the_same_port(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    name = begun(system, server, key).removeprefix("operations/")
    request = operation_pb2.WatchOperationRequest(id=name)
    *_, last = stub.WatchOperation(request, metadata=key.metadata, timeout=60)
    assert last.done
    assert last.WhichOneof("result") == "response"


def test_a_watch_ends_within_a_second_of_its_keys_revocation(system: System) -> None:
    server = system.server(system.bmc(restarts_visibly=False))
    key = system.key(server)
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    name = begun(system, server, key).removeprefix("operations/")
    request = operation_pb2.WatchOperationRequest(id=name)
    stream: Any = stub.WatchOperation(request, metadata=key.metadata, timeout=60)
    assert not next(stream).done
    assert system.noc("DELETE", f"/api/keys/{key.id}").is_success
    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as ended:
        for _ in stream:
            pass
    assert info_of(status_of(ended.value)).reason == "KEY_REVOKED"
    assert time.monotonic() - begin < 1


def test_an_operation_that_has_ended_is_one_event(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    name = begun(system, server, key)
    system.finished(name, key)
    [(_, only)] = watched(system, name, key)
    assert only["done"]


def test_what_may_not_be_watched_is_refused_as_every_call_is(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key, other = system.key(server), system.key(server, capabilities=["server.reboot"])
    name = begun(system, server, key)
    for path, caller, refusal in (
        (f"/api/{name}/watch", None, (401, "CREDENTIAL_MISSING")),
        (f"/api/{name}/watch", other, (403, "CAPABILITY_MISSING")),
        ("/api/operations/00000000-0000-4000-8000-000000000000/watch", key, (404, "NOT_FOUND")),
        ("/api/operations/nonsense/watch", key, (400, "INVALID_REQUEST")),
    ):
        answer = system.rest("GET", path, caller)
        assert (answer.status_code, reason(answer)) == refusal, path
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    request = operation_pb2.WatchOperationRequest(id="00000000-0000-4000-8000-000000000000")
    with pytest.raises(grpc.RpcError) as refused:
        [*stub.WatchOperation(request, metadata=key.metadata, timeout=20)]
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    system.finished(name, key)


def test_watchers_are_bounded_and_their_places_are_free_again(system: System) -> None:
    server = system.server(system.bmc(restarts_visibly=False))
    key = system.key(server)
    name = begun(system, server, key)
    stub = operation_pb2_grpc.OperationServiceStub(system.channel)
    request = operation_pb2.WatchOperationRequest(id=name.removeprefix("operations/"))

    def watch() -> Any:
        call: Any = stub.WatchOperation(request, metadata=key.metadata, timeout=60)
        return call, next(call)

    calls = [watch()[0] for _ in range(16)]
    with pytest.raises(grpc.RpcError) as refused:
        watch()
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in calls:
        call.cancel()
    deadline = time.monotonic() + 10
    while True:
        try:
            watch()[0].cancel()
            break
        except grpc.RpcError:
            assert time.monotonic() < deadline, "the places are not free again"
    system.finished(name, key)


def test_a_servers_operations_are_listed_newest_first(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server, capabilities=["server.details", "server.reboot", "server.power"])
    names = [begun(system, server, key)]
    system.finished(names[0], key)
    for action in ("OFF", "ON"):
        url = f"/api/servers/{server}/power"
        names.append(system.rest("POST", url, key, json={"action": action}).json()["name"])
        system.finished(names[-1], key)
    bmc.set_power(on=False)
    names.append(begun(system, server, key))
    system.finished(names[-1], key)
    url = f"/api/servers/{server}/operations"

    def listed(**params: Any) -> Any:
        answer = system.rest("GET", url, key, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [each["name"] for each in listed()["operations"]] == names[::-1]
    first = listed(page_size=3)
    rest = listed(page_size=3, page_token=first["next_page_token"])
    pages = [*first["operations"], *rest["operations"]]
    assert [each["name"] for each in pages] == names[::-1]
    assert rest["next_page_token"] == ""
    failed = listed(states=["FAILED", "CANCELLED"])["operations"]
    assert [each["name"] for each in failed] == names[-1:]
    for wrong in ({"states": ["NONSENSE"]}, {"page_token": "eA=="}, {"page_size": 1001}):
        assert system.rest("GET", url, key, params=wrong).status_code == 400
    other = system.rest("GET", "/api/servers/ns999999.example.net/operations", key)
    assert (other.status_code, reason(other)) == (403, "SERVER_NOT_GRANTED")


def test_googles_own_client_waits_for_an_operation(system: System, bmc: IpmiSim) -> None:
    server = system.server(bmc)
    key = system.key(server)
    client: Any = operations_v1.OperationsClient(system.channel)  # type: ignore[no-untyped-call]
    accepted = client.get_operation(begun(system, server, key), metadata=[*key.metadata])
    assert isinstance(accepted, operations_pb2.Operation)
    future = api_core.from_gapic(  # type: ignore[no-untyped-call]
        accepted,
        client,
        reboot_pb2.RebootServerResponse,
        metadata_type=operation_pb2.OperationMetadata,
        grpc_metadata=[*key.metadata],
    )
    done = threading.Event()
    future.add_done_callback(lambda _future: done.set())
    assert future.result(timeout=60).proof
    assert done.wait(10)
    assert future.metadata.server == server
    with pytest.raises(exceptions.InvalidArgument):
        client.get_operation("operations/nonsense", metadata=[*key.metadata], retry=None)


def test_waiting_answers_when_it_has_ended(system: System) -> None:
    server = system.server(system.bmc(boot_seconds=1))
    key = system.key(server)
    name = begun(system, server, key)
    answer = system.rest("GET", f"/api/{name}/wait", key)
    assert (answer.status_code, answer.json()["done"]) == (200, True)
    assert answer.json()["metadata"]["server"] == server
    assert ACCOUNT not in answer.json()["name"]
