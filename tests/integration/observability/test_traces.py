"""One reboot is one trace, from the edge to the BMC, and its id stands wherever it is told of."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Key, System, eventually, reason, running
from tests.integration.observability.collector import Collector, Seen

REQUEST_INFO = "type.googleapis.com/google.rpc.RequestInfo"
REBOOT = "f2h.server_ops.v1.RebootService/RebootServer"
CHECK = "envoy.service.auth.v3.Authorization/Check"


class Traced:
    """A system whose traces are collected, and a server that may be rebooted."""

    def __init__(self, system: System, collector: Collector) -> None:
        self.system = system
        self.collector = collector
        self.hostname = system.server(system.bmc())
        self.key: Key = system.key(self.hostname)

    def logs(self, request_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The lines of all logs with this id, and whose log it is."""
        return [
            (log.stem, json.loads(line))
            for log in self.system.stack.logs.glob("*.log")
            for line in log.read_text().splitlines()
            if request_id in line and line.startswith("{")
        ]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    with Collector() as collector:
        folder = tmp_path_factory.mktemp("traced")
        with running(folder, traces=collector.address) as system:
            yield Traced(system, collector)


def parent_of(seen: Seen, trace: list[Seen]) -> Seen | None:
    return next((each for each in trace if each.span.span_id == seen.span.parent_span_id), None)


def ancestors(seen: Seen, trace: list[Seen]) -> list[str]:
    """The services and names of a span and of all above it, the innermost first."""
    names = []
    present: Seen | None = seen
    while present is not None:
        names.append(f"{present.service}: {present.span.name}")
        present = parent_of(present, trace)
    return names


def test_a_reboot_is_one_trace_from_the_edge_to_the_bmc(traced: Traced) -> None:
    path = f"/api/servers/{traced.hostname}/reboot"
    answer = traced.system.rest("POST", path, traced.key)
    assert answer.status_code == 200, answer.text
    request_id = answer.headers["x-request-id"]
    name = answer.json()["name"]
    ended = traced.system.finished(name, traced.key)
    assert "error" not in ended, ended

    def whole() -> list[Seen] | None:
        trace = traced.collector.of(request_id)
        names = {each.span.name for each in trace}
        return trace if {"operation", "bmc send_once", CHECK, REBOOT} <= names else None

    trace = eventually(whole)
    by_name = {(each.service, each.span.name): each for each in trace}
    roots = [each for each in trace if not each.span.parent_span_id]
    assert [each.service for each in roots] == ["edge"]
    assert all(parent_of(each, trace) for each in trace if each not in roots)
    sent = next(each for each in trace if each.span.name == "bmc send_once")
    chain = ancestors(sent, trace)
    assert chain[0] == "server_ops: bmc send_once"
    assert chain[1].startswith("server_ops: operation step")
    assert chain[2:4] == ["server_ops: operation", f"server_ops: {REBOOT}"]
    assert chain[-1].startswith("edge: ")
    assert ancestors(by_name["auth", CHECK], trace)[-1].startswith("edge: ")
    # What server_ops asked of auth meanwhile.
    attempt = "f2h.auth.v1.AuditService/RecordAttempt"
    assert f"server_ops: {REBOOT}" in ancestors(by_name["auth", attempt], trace)

    rpc = by_name["server_ops", REBOOT].attributes
    assert rpc["f2h.server"] == traced.hostname
    assert rpc["f2h.capability"] == "server.reboot"
    assert rpc["f2h.principal"] == traced.key.id
    assert rpc["f2h.operation"] == name
    assert rpc["rpc.grpc.status_code"] == "OK"
    assert sent.attributes["f2h.bmc.command"] in {"POWER_CYCLE", "HARD_RESET"}


def test_what_is_taken_up_after_a_crash_goes_on_with_the_trace(traced: Traced) -> None:
    hostname = traced.system.server(traced.system.bmc())
    key = traced.system.key(hostname)
    answer = traced.system.rest("POST", f"/api/servers/{hostname}/reboot", key)
    stack = traced.system.stack
    # What the process has not yet sent to the collector goes with it.
    stack.processes["server_ops"].kill()
    stack.start_service("server_ops")
    traced.system.finished(answer.json()["name"], key)
    request_id = answer.headers["x-request-id"]
    eventually(lambda: "operation end" in {s.span.name for s in traced.collector.of(request_id)})


def test_an_error_names_its_trace_and_so_do_the_logs(traced: Traced) -> None:
    path = f"/api/servers/{traced.hostname}/power"
    answer = traced.system.rest("POST", path, traced.key, json={"action": "CYCLE"})
    assert reason(answer) == "CAPABILITY_MISSING"
    [info] = [each for each in answer.json()["details"] if each["@type"] == REQUEST_INFO]
    request_id = info["request_id"]
    assert answer.headers["x-request-id"] == request_id
    eventually(lambda: traced.logs(request_id))
    assert "envoy" in {log for log, _ in traced.logs(request_id)}
    trace = eventually(lambda: traced.collector.of(request_id))
    eventually(
        lambda: any(
            each.attributes.get("f2h.reason") == "CAPABILITY_MISSING"
            for each in traced.collector.of(request_id)
        )
    )
    assert trace


def test_what_a_service_refuses_has_its_reason_in_the_span(traced: Traced) -> None:
    answer = traced.system.rest("GET", "/api/operations/not-a-uuid", traced.key)
    assert answer.status_code in {400, 404}, answer.text
    request_id = answer.headers["x-request-id"]

    def refused() -> list[Seen]:
        return [
            each
            for each in traced.collector.of(request_id)
            if each.service == "server_ops" and each.span.status.message == reason(answer)
        ]

    eventually(refused)


def test_no_secret_is_in_any_span(traced: Traced) -> None:
    login = traced.system.rest(
        "POST", "/api/auth/login", json={"email": "a@example.net", "password": "canary-password"}
    )
    assert login.status_code == 401
    request_id = login.headers["x-request-id"]
    eventually(lambda: {"edge", "auth"} <= {s.service for s in traced.collector.of(request_id)})
    said = b"".join(each.span.SerializeToString() for each in traced.collector.seen)
    stack = traced.system.stack
    secrets = [
        traced.key.secret,
        traced.key.secret.rpartition(".")[2],
        stack.noc_key(),
        "canary-password",
        "a@example.net",
    ]
    secrets += [
        path.read_text().strip()
        for path in stack.secrets.iterdir()
        if not path.name.endswith((".pub", "public_keys.json"))
    ]
    for secret in secrets:
        assert secret.encode() not in said
    # Neither what may stand in a URL: the token of a machine that boots, the code of a sign-in.
    url = f"{traced.system.stack.provisioning_url}/netboot/script?mac=canary-mac&uuid=canary-uuid"
    boot = httpx.get(url, timeout=20)
    odd = traced.system.rest("GET", "/api/servers?page_token=canary-query", traced.key)
    wanted = {answer.headers["x-request-id"] for answer in (boot, odd)}
    eventually(lambda: wanted <= {each.trace for each in traced.collector.seen})
    said = b"".join(each.span.SerializeToString() for each in traced.collector.seen)
    assert b"canary" not in said
    assert b"f2h.path" in said


def test_a_collector_that_hangs_delays_nothing(tmp_path: Path) -> None:
    with Collector(hold=threading.Event()) as collector:
        with running(tmp_path, traces=collector.address) as system:
            key = system.key(system.server(system.bmc()))
            for _ in range(50):
                answer = system.rest("GET", "/api/servers", key)
                assert answer.status_code == 200
                assert answer.elapsed.total_seconds() < 5
        assert collector.hold is not None
        collector.hold.set()


def test_without_a_collector_the_id_is_there_all_the_same(system: System) -> None:
    key = system.key(system.server(system.bmc()))
    answer = system.rest("GET", "/api/servers/nobody.example.net", key)
    [info] = [each for each in answer.json()["details"] if each["@type"] == REQUEST_INFO]
    assert len(info["request_id"]) == 32
    assert answer.headers["x-request-id"] == info["request_id"]
