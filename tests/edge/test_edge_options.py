"""Pages of other sites, proxies in front, and what the operator is told of a wrong setting."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from edge.options import Options
from tests.edge.conftest import Edge, variant
from tests.edge.stand_ins import Answer, Client

SERVERS = "/api/servers"
CONSOLE = "https://console.example"


@pytest.fixture(scope="module")
def shared(running: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An edge that the pages of CONSOLE may call."""
    folder = tmp_path_factory.mktemp("cors")
    with variant(running, folder, options=Options(cors_origins=(CONSOLE,))) as other:
        yield other.public


def preflight(client: Client, origin: str) -> Answer:
    """What a browser asks before it lets a page call with a key."""
    wanted = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,content-type",
    }
    with closing(client.connection()) as connection:
        connection.request("OPTIONS", SERVERS, headers=wanted)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())


def allowed(headers: Mapping[str, str]) -> list[str]:
    return [name for name in headers if name.startswith("access-control-")]


def test_without_the_option_no_page_of_another_site_may_call(edge: Edge) -> None:
    asked = preflight(edge.public, CONSOLE)
    assert asked.status == 405
    assert not allowed(asked.headers)
    answer = edge.public.rest("GET", SERVERS, headers={"origin": CONSOLE})
    assert not allowed(answer.headers)


def test_a_page_that_may_call_is_told_so(edge: Edge, shared: Client) -> None:
    asked = preflight(shared, CONSOLE)
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == CONSOLE
    assert "x-api-key" in asked.headers["access-control-allow-headers"]
    answer = shared.rest("GET", SERVERS, headers={"origin": CONSOLE})
    assert answer.headers["access-control-allow-origin"] == CONSOLE
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    refused = shared.rest("GET", SERVERS, key=None, headers={"origin": CONSOLE})
    assert refused.headers["access-control-allow-origin"] == CONSOLE, "a page may read why"


def test_no_page_of_another_site_may_use_a_cookie(shared: Client) -> None:
    for answer in (
        preflight(shared, CONSOLE),
        shared.rest("GET", SERVERS, headers={"origin": CONSOLE}),
    ):
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", f"{CONSOLE}.evil.example", "http://console.example", "null", "*"],
)
def test_any_other_page_may_not(edge: Edge, shared: Client, origin: str) -> None:
    assert not allowed(preflight(shared, origin).headers)
    assert not allowed(shared.rest("GET", SERVERS, headers={"origin": origin}).headers)
    assert {call.path for call in edge.services["server_ops"].seen} <= {
        "/f2h.server_ops.v1.ServerService/ListServers"
    }


@pytest.fixture(scope="module")
def behind(running: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An edge behind one proxy of ours."""
    folder = tmp_path_factory.mktemp("proxies")
    with variant(running, folder, options=Options(trusted_proxies=1)) as other:
        yield other.public


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("192.0.2.1, 203.0.113.9", "203.0.113.9"),  # what the client wrote itself stands before
        ("2001:db8::9", "2001:db8::9"),
    ],
)
def test_behind_a_proxy_the_client_is_who_connected_to_it(
    edge: Edge, behind: Client, forwarded: str, client: str
) -> None:
    forged = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    answer = behind.rest("GET", SERVERS, headers={**forged, "x-forwarded-for": forwarded})
    assert answer.status == 200
    assert edge.auth.seen[0].request.http.headers["x-f2h-client"] == client
    [call] = edge.services["server_ops"].seen
    assert call.metadata["x-f2h-client"] == client
    assert "evil.example" not in call.metadata.values()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS", "perhaps"),
        ("HTTPS_PORT", "0"),
        ("REDIRECT_HTTP", "true"),
        ("HSTS_SECONDS", "-1"),
        ("CORS_ORIGINS", "https://a.example, *"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("TRUSTED_PROXIES", "-1"),
        ("MCP", "perhaps"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    done = written(tmp_path, {name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"F2H_EDGE_{name}: ")
    assert not [*tmp_path.iterdir()]


def test_the_configuration_is_written_for_envoy(tmp_path: Path) -> None:
    settings = {
        "HTTPS": "true",
        "REDIRECT_HTTP": "true",
        "CORS_ORIGINS": f"{CONSOLE}, http://b:8",
        "MCP": "true",
    }
    done = written(tmp_path, settings)
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "envoy.json").read_text()
    assert CONSOLE in text
    assert '"port_value": 8080' in text
    assert "mcp_json_rest_bridge" in text
    assert {file.name for file in (tmp_path / "sds").iterdir()} == {
        "public.json",
        "internal.json",
        "clients-ca.json",
        "service.json",
        "services-ca.json",
    }


def written(folder: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {f"F2H_EDGE_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "edge", str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
