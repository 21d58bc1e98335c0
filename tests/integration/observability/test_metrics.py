"""What Prometheus reads of the running system, and what dashboards and rules make of it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
import yaml
from f2h.server_ops.v1 import server_pb2, server_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from lab.ports import HOST
from lab.stack import ROOT
from tests.integration.conftest import IN_THE_CLEAR, Key, System, eventually, reason, running
from tests.integration.observability.expressions import exposed, names

DEPLOY = ROOT / "deploy" / "observability"
PORTS = {
    "auth": "auth_metrics",
    "server_ops": "metrics",
    "security": "security_metrics",
    "edge": "edge_metrics",
}
SERVICES = ("auth", "server_ops", "security")
LIST = {"grpc_service": "f2h.server_ops.v1.ServerService", "grpc_method": "ListServers"}
Samples = list[tuple[str, dict[str, str], float]]


class Scraped:
    """A system, and what is read of its parts."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.hostname = system.server(system.bmc())
        self.key: Key = system.key(self.hostname)

    def text(self, part: str) -> str:
        port = getattr(self.system.stack.ports, PORTS[part])
        answer = httpx.get(f"http://{HOST}:{port}/metrics", verify=IN_THE_CLEAR, timeout=20)
        assert answer.status_code == 200
        return answer.text

    def samples(self, part: str) -> Samples:
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(self.text(part))
            for sample in family.samples
        ]

    def value(self, part: str, name: str, **labels: str) -> float:
        """The sum of all samples with this name and these labels."""
        return sum(
            value
            for found, with_labels, value in self.samples(part)
            if found == name and labels.items() <= with_labels.items()
        )

    def comes_to(self, wanted: float, part: str, name: str, **labels: str) -> None:
        """Who called may have the answer before the call is counted, but not for long."""
        eventually(lambda: self.value(part, name, **labels) == wanted)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    with running(tmp_path_factory.mktemp("scraped")) as system:
        yield Scraped(system)


def test_every_rpc_is_there_from_the_start(scraped: Scraped) -> None:
    for service in SERVICES:
        started = [
            labels["grpc_method"]
            for name, labels, _ in scraped.samples(service)
            if name == "grpc_server_started_total"
        ]
        assert len(started) > 5


def test_calls_are_counted_and_timed(scraped: Scraped) -> None:
    before = scraped.value("server_ops", "grpc_server_started_total", **LIST)
    for _ in range(3):
        assert scraped.system.rest("GET", "/api/servers", scraped.key).status_code == 200
    for name in ("grpc_server_started_total", "grpc_server_handling_seconds_count"):
        scraped.comes_to(before + 3, "server_ops", name, **LIST)
    ok = {**LIST, "grpc_code": "OK", "reason": ""}
    scraped.comes_to(before + 3, "server_ops", "grpc_server_handled_total", **ok)
    scraped.comes_to(0, "server_ops", "grpc_server_in_flight")


def test_a_refusal_has_its_code_and_its_reason(scraped: Scraped) -> None:
    with scraped.system.stack.channel("server_ops") as channel:
        stub = server_pb2_grpc.ServerServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.ListServers(server_pb2.ListServersRequest(), timeout=10)
    refused = {**LIST, "grpc_code": "UNAUTHENTICATED", "reason": "PRINCIPAL_INVALID"}
    scraped.comes_to(1, "server_ops", "grpc_server_handled_total", **refused)


def test_what_auth_lets_pass_and_what_not(scraped: Scraped) -> None:
    missing = scraped.value("auth", "f2h_auth_checks_total", outcome="CAPABILITY_MISSING")
    path = f"/api/servers/{scraped.hostname}/power"
    refusal = scraped.system.rest("POST", path, scraped.key, json={"action": "CYCLE"})
    assert reason(refusal) == "CAPABILITY_MISSING"
    scraped.comes_to(missing + 1, "auth", "f2h_auth_checks_total", outcome="CAPABILITY_MISSING")
    assert scraped.value("auth", "f2h_auth_checks_total", outcome="PASSED") > 0


def test_an_operation_is_followed_to_its_end(scraped: Scraped) -> None:
    answer = scraped.system.rest("POST", f"/api/servers/{scraped.hostname}/reboot", scraped.key)
    scraped.comes_to(1, "server_ops", "f2h_operations_accepted_total", kind="REBOOT")
    scraped.system.finished(answer.json()["name"], scraped.key)
    ended = {"kind": "REBOOT", "state": "SUCCEEDED", "reason": ""}
    scraped.comes_to(1, "server_ops", "f2h_operations_ended_total", **ended)
    assert scraped.value("server_ops", "f2h_operation_seconds_sum", kind="REBOOT") > 0
    assert scraped.value("server_ops", "f2h_operations_unfinished") == 0
    sent = {"method": "send_once", "outcome": "ok"}
    assert scraped.value("server_ops", "f2h_bmc_calls_total", **sent) == 1
    assert scraped.value("server_ops", "f2h_bmcs") == 1
    assert scraped.value("server_ops", "f2h_audit_append_seconds_count", record="attempt") >= 1


def test_background_work_says_when_it_last_ended_well(scraped: Scraped) -> None:
    name = "f2h_background_last_success_timestamp_seconds"
    eventually(lambda: scraped.value("server_ops", name, work="Deliver") > 1e9)
    eventually(lambda: scraped.value("security", name, work="CompareGates") > 1e9)


def test_no_label_holds_a_secret_or_what_callers_choose(scraped: Scraped) -> None:
    system = scraped.system
    system.rest("GET", "/api/servers/canary.example.net", scraped.key)
    system.rest("GET", "/api/canary-path?canary=query", scraped.key)
    system.rest("POST", "/api/auth/login", json={"email": "canary@example.net", "password": "x"})
    # Servers have a place: those of ipmi_exporter, and what tells when they were measured.
    fleet = re.compile("ipmi_|f2h_monitoring_timestamp")
    for part in PORTS:
        said = "\n".join(line for line in scraped.text(part).splitlines() if not fleet.match(line))
        assert "canary" not in said
        for text in (scraped.key.secret, scraped.key.id, scraped.hostname, "acme"):
            assert text not in said


def test_a_command_of_auth_is_run_beside_the_service(scraped: Scraped) -> None:
    stack = scraped.system.stack
    done = subprocess.run(
        [sys.executable, "-m", "services.auth", "audit-checkpoint"],
        env=stack.environment("auth"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_listener_of_the_edge_leads_there(scraped: Scraped) -> None:
    stack = scraped.system.stack
    for base in (stack.url, stack.provisioning_url):
        assert httpx.get(f"{base}/metrics").status_code == 404
    assert scraped.system.noc("GET", "/metrics").status_code == 404


def expressions() -> Iterator[tuple[str, str]]:
    rules = yaml.safe_load((DEPLOY / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for path in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], target["expr"]


def test_dashboards_and_rules_ask_for_what_is_there(scraped: Scraped) -> None:
    asked: dict[str, str] = {}
    for where, expression in expressions():
        found = names(expression)
        assert found or expression.startswith("up "), where
        asked |= dict.fromkeys(found, where)
    assert len(asked) > 30

    def missing() -> dict[str, str]:
        there = set[str]().union(*(exposed(scraped.text(part)) for part in PORTS))
        return {name: where for name, where in asked.items() if name not in there}

    assert missing() == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
)
def test_prometheus_itself_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_where_the_parts_are_told_to_answer() -> None:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    targets = {
        job["job_name"]: f"{found['names'][0]}:{found['port']}"
        for job in config["scrape_configs"]
        for found in job["dns_sd_configs"]
    }
    edge = yaml.safe_load((ROOT / "edge" / "envoy.yaml").read_text())["static_resources"]
    ports = {
        each["name"]: each["address"]["socket_address"]["port_value"] for each in edge["listeners"]
    }
    assert targets.pop("edge") == f"envoy:{ports['metrics']}"
    for service, target in targets.items():
        settings = compose["services"][service]["environment"]
        port = settings[f"F2H_{service.upper()}_METRICS"].rpartition(":")[2]
        assert target == f"{service}:{port}"
        [alias] = compose["services"]["jaeger"]["networks"]["internal"]["aliases"]
        assert settings[f"F2H_{service.upper()}_TRACES"] == f"{alias}:4317"
    top = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert {"envoy", *targets} <= top["services"].keys()
    published = {
        name: each["ports"] for name, each in compose["services"].items() if "ports" in each
    }
    assert published == {"grafana": ["127.0.0.1:3000:3000"]}
