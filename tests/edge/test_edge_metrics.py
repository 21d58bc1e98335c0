"""What Prometheus reads of the edge, and that it reads nothing else there."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from edge.process import binary
from tests.edge.conftest import Edge

DEPLOY = Path(__file__).parents[2] / "deploy" / "observability"


def test_the_figures_of_the_edge_are_in_the_form_of_prometheus(edge: Edge) -> None:
    edge.public.rest("GET", "/api/servers")
    families = {
        family.name: family
        for family in text_string_to_metric_families(httpx.get(edge.metrics_url, timeout=20).text)
    }
    requests = families["envoy_http_downstream_rq"].samples
    assert any(
        sample.labels["envoy_http_conn_manager_prefix"] == "public" and sample.value > 0
        for sample in requests
    )
    assert "envoy_cluster_upstream_rq_time" in families


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_it_is_read_and_not_written(edge: Edge, verb: str) -> None:
    assert httpx.request(verb, edge.metrics_url).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/stats",
        "/stats/prometheus",
        "/config_dump",
        "/quitquitquit",
        "/metrics/",
        "/metrics?filter=.*",
        "/metrics/../quitquitquit",
        "/metrics%2f..%2fquitquitquit",
        "//metrics/../config_dump",
    ],
)
def test_nothing_else_of_the_admin_port_is_there(edge: Edge, path: str) -> None:
    base = edge.metrics_url.removesuffix("/metrics")
    request = httpx.Request("GET", base)
    request.url = request.url.copy_with(raw_path=path.encode())
    with httpx.Client() as client:
        assert client.send(request).status_code in {400, 404}


@pytest.mark.parametrize("path", ["/metrics", "/stats/prometheus"])
def test_the_other_listeners_do_not_have_them(edge: Edge, path: str) -> None:
    for client in (edge.public, edge.internal, edge.provisioning):
        assert client.rest("GET", path).status == 404


def test_the_edge_takes_what_switches_its_traces_on(edge: Edge) -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    command = compose["services"]["envoy"]["command"]
    added = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", command[command.index("--config-yaml") + 1])
    assert yaml.safe_load(added)["layered_runtime"]["layers"][0]["static_layer"] == {
        "tracing.random_sampling": 100
    }
    done = subprocess.run(
        [binary(), "--mode", "validate", "-c", str(edge.config), "--config-yaml", added],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
