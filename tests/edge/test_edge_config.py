"""edge/envoy.yaml says what the descriptor says, and edge.render changes addresses only."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from f2h.access.v1 import reason_pb2
from google.protobuf import json_format
from google.rpc import status_pb2

from edge.errors import written
from edge.options import Options
from edge.process import EdgeError, validate
from edge.render import Limit, RenderError, deploy, read, render
from lab import ca
from services.runtime.certificates import service_uri
from services.server_ops.operations import watch
from services.server_ops.rpc import consoles
from tests.edge.conftest import DESCRIPTOR, Edge
from tests.edge.contract import RPCS
from tools.contract import LISTENERS, passes

CONFIG = read()
STREAMS = {
    "f2h.server_ops.v1.OperationService/WatchOperation": watch.WATCH_SECONDS,
    "f2h.server_ops.v1.ConsoleService": consoles.CONSOLE_SECONDS,
}
"""Routes of streams, and after how many seconds their service ends one."""

UPSTREAMS = {"auth": ("10.0.0.1", 1), "server_ops": ("10.0.0.2", 2), "security": ("10.0.0.3", 3)}


def managers() -> Mapping[str, dict[str, Any]]:
    return {
        listener["name"]: listener["filter_chains"][0]["filters"][0]["typed_config"]
        for listener in CONFIG["static_resources"]["listeners"]
    }


def filters(listener: str) -> list[dict[str, Any]]:
    return list(managers()[listener]["http_filters"])


def routes_of(listener: str) -> list[dict[str, Any]]:
    (host,) = managers()[listener]["route_config"]["virtual_hosts"]
    return list(host["routes"])


def calls_of(listener: str) -> list[dict[str, Any]]:
    """The routes that lead to a service."""
    return [route for route in routes_of(listener) if "route" in route]


each_listener = pytest.mark.parametrize("listener", LISTENERS)


def render_to(target: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "public": ("127.0.0.1", 18000),
        "internal": ("127.0.0.1", 18001),
        "provisioning": ("127.0.0.1", 18002),
        "metrics": ("127.0.0.1", 19902),
        "admin_port": 19901,
        "upstreams": UPSTREAMS,
        "descriptor": DESCRIPTOR,
        "tls": DESCRIPTOR.parent,
        "services_tls": DESCRIPTOR.parent,
        "images": DESCRIPTOR.parent,
        "static": DESCRIPTOR.parent,
    }
    render(target, **{**arguments, **changes})


@each_listener
def test_the_order_of_the_filters(listener: str) -> None:
    files = ["compressor", "static_headers", "file_server"] if listener == "public" else []
    tokens = ["jwt_authn"] if listener == "public" else []
    assert [each["name"].removeprefix("envoy.filters.http.") for each in filters(listener)] == [
        "edge_headers",
        "health_check",
        "address_limit",
        "rest_paths",
        "buffer",
        *files,
        "grpc_json_transcoder",
        *tokens,
        "ext_authz",
        "subject_limit",
        "mend_errors",
        "router",
    ]


@each_listener
def test_the_transcoder_knows_the_services_of_the_contract(listener: str) -> None:
    (transcoder,) = (each for each in filters(listener) if "transcoder" in each["name"])
    wanted = {rpc.service for rpc in RPCS if passes(rpc, listener)}
    listed = transcoder["typed_config"]["services"]
    assert sorted(listed) == sorted(wanted)


@each_listener
def test_the_routes_are_the_rpcs_of_the_contract(listener: str) -> None:
    (host,) = managers()[listener]["route_config"]["virtual_hosts"]
    guards = host["routes"][:2]
    assert [guard["direct_response"]["status"] for guard in guards] == [400, 400]
    assert host["domains"] == ["*"]
    taken: dict[str, set[str]] = {}
    for route in calls_of(listener):
        (rule,) = (route["match"][kind] for kind in ("prefix", "path") if kind in route["match"])
        # A whole service or a whole method, never a part of a name.
        assert rule.endswith("/") == ("prefix" in route["match"])
        assert route["match"]["grpc"] == {}
        hit = {
            rpc.path
            for rpc in RPCS
            for path in {rpc.path, rpc.rule and rpc.rule.stands_for}
            if path and (path == rule or (rule.endswith("/") and path.startswith(rule)))
        }
        assert hit, f"{rule} is in no proto"
        assert {path.split(".")[1] for path in hit} == {route["route"]["cluster"]}
        taken[rule] = hit
    assert set().union(*taken.values()) == {rpc.path for rpc in RPCS if passes(rpc, listener)}


@each_listener
def test_authorization_is_switched_off_only_where_nothing_passes(listener: str) -> None:
    (host,) = managers()[listener]["route_config"]["virtual_hosts"]
    settings = host["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
    assert settings["check_settings"] == {"context_extensions": {"listener": listener}}
    moved = ["docs", "console"] if listener == "public" else []
    switched_off = [
        route
        for route in host["routes"]
        if "envoy.filters.http.ext_authz" in route.get("typed_per_filter_config", {})
    ]
    assert [route["name"] for route in switched_off] == [
        "malformed_timeout",
        "encoded_name",
        *moved,
    ]
    assert all("direct_response" in route for route in switched_off)


def test_files_are_served_on_their_routes_only() -> None:
    kind = "envoy.filters.http.file_server"
    [server] = (each["typed_config"] for each in filters("public") if each["name"] == kind)
    assert "path_mappings" not in server
    assets, rest = (each for each in routes_of("public") if kind in str(each))
    for route in (assets, rest):
        [mapping] = route["typed_per_filter_config"][kind]["path_mappings"]
        assert mapping["request_path_prefix"] == "/"
    assert assets["match"] == {"prefix": "/console/assets/"}
    rule = rest["match"]["safe_regex"]["regex"]
    others = ("/", "/api/servers", "/openapi-json", "/consoles", "/console")
    assert not any(re.fullmatch(rule, path) for path in others)
    assert kind not in str(managers()["internal"])


def test_only_files_are_compressed() -> None:
    kind = "envoy.filters.http.compressor"
    [compressor] = (each["typed_config"] for each in filters("public") if each["name"] == kind)
    [direction] = (value for key, value in compressor.items() if key.endswith("direction_config"))
    assert direction["common_config"]["enabled"]["default_value"] is False
    compressed = [each["name"] for each in routes_of("public") if kind in str(each)]
    assert compressed == ["static_assets", "static"]
    assert kind not in str(managers()["internal"])


@each_listener
def test_what_a_path_names_is_ignored_in_a_query(listener: str) -> None:
    (transcoder,) = (each for each in filters(listener) if "transcoder" in each["name"])
    named = {name for rpc in RPCS for name in re.findall(r"\{([^}=]+)", (rpc.http or ("", ""))[1])}
    # With a name of two words, its JSON name would have to be ignored as well.
    assert not [name for name in named if not name.isalpha()]
    reachable = {
        name
        for rpc in RPCS
        if any(passes(rpc, each) for each in LISTENERS)
        for name in re.findall(r"\{([^}=]+)", (rpc.http or ("", ""))[1])
    }
    assert set(transcoder["typed_config"]["ignored_query_parameters"]) == reachable
    for rpc in RPCS:
        verb, path = rpc.http or ("", "")
        if verb == "GET":
            parameters = {field.name for field in rpc.request.field}
            in_query = {name for name in parameters if f"{{{name}" not in path}
            assert not in_query & reachable, f"{rpc.path} could not be asked for {in_query}"


@each_listener
def test_the_edge_gives_up_before_the_service_does(listener: str) -> None:
    manager = managers()[listener]
    assert manager["common_http_protocol_options"]["max_stream_duration"] == "30s"
    routes = calls_of(listener)
    assert {each["route"]["timeout"] for each in routes} == {"0s"}
    calls = [each["route"] for each in routes if each["name"] not in STREAMS]
    longest = {each["max_stream_duration"]["grpc_timeout_header_max"] for each in calls}
    (mutation, _) = filters(listener)[-1]["typed_config"]["upstream_http_filters"]
    (told,) = mutation["typed_config"]["mutations"]["request_mutations"]
    assert longest == {"14.9s"}
    assert told["append"]["header"] == {"key": "grpc-timeout", "value": "15S"}


def test_a_stream_may_last_longer_than_the_service_lets_it() -> None:
    routes = {each["name"]: each for each in routes_of("public")}
    for name, seconds in STREAMS.items():
        route = routes[name]["route"]
        assert route["max_stream_duration"] == {"max_stream_duration": f"{seconds + 30:.0f}s"}
        assert float(route["idle_timeout"].removesuffix("s")) > consoles.QUIET_SECONDS
        mutation = routes[name]["typed_per_filter_config"]["envoy.filters.http.header_mutation"]
        (told,) = mutation["mutations"]["request_mutations"]
        assert told["append"]["header"] == {
            "key": "grpc-timeout",
            "value": f"{seconds + 30:.0f}S",
        }
    streaming = {rpc.path[1:] for rpc in RPCS if rpc.method.server_streaming}
    assert all(any(path.startswith(name) for name in STREAMS) for path in streaming)


@each_listener
def test_both_listeners_are_equally_hard(listener: str) -> None:
    manager = dict(managers()[listener])
    reference = dict(managers()["public"])
    for theirs in ("stat_prefix", "route_config", "http_filters"):
        del manager[theirs], reference[theirs]
    assert manager == reference
    # What the public one has alone: tokens stand for customers' keys, and files are for anybody.
    alone = {f"envoy.filters.http.{name}" for name in ("jwt_authn", "compressor", "file_server")}
    alone.add("static_headers")
    others = [each for each in filters("public") if each["name"] not in alone]
    shared = [each for each in filters(listener) if each["name"] not in alone]
    for mine, other in zip(shared, others, strict=True):
        a, b = dict(mine["typed_config"]), dict(other["typed_config"])
        for theirs in ("services", "default_source_code"):
            if mine["name"] in {"envoy.filters.http.grpc_json_transcoder", "rest_paths"}:
                a.pop(theirs, None)
                b.pop(theirs, None)
        assert a == b


def mappers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The pairs of local_reply_config: for native gRPC, and for REST."""
    # /healthz, what auth said itself, and what rest_paths says, which native gRPC does not meet
    _, _, _, _, *pairs = managers()["public"]["local_reply_config"]["mappers"]
    assert len(pairs) % 2 == 0
    return zip(pairs[::2], pairs[1::2], strict=True)


def expression(mapper: dict[str, Any]) -> str:
    return str(mapper["filter"]["extension_filter"]["typed_config"]["expression"])


def test_the_errors_of_the_edge_say_the_same_to_rest_and_grpc() -> None:
    for native, rest in mappers():
        condition, _, only_native = expression(native).partition(") && ")
        assert condition == "(" + expression(rest)
        assert "application/grpc" in only_native
        assert native.get("status_code") == rest.get("status_code")
        headers = {
            each["header"]["key"]: each["header"]["value"] for each in native["headers_to_add"]
        }
        encoded = headers["grpc-status-details-bin"]
        told = status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
        assert str(told.code) == headers["grpc-status"]
        text = native["body_format_override"]["text_format_source"]["inline_string"]
        assert told.message == text
        spoken = rest["body_format_override"]["json_format"]
        as_json = json_format.MessageToDict(told, preserving_proto_field_name=True)
        assert as_json["code"] == spoken["code"]
        # What is fixed cannot name the request: a native caller reads its id in x-request-id.
        *details, request = spoken["details"]
        assert as_json["details"] == details
        assert request == {
            "@type": "type.googleapis.com/google.rpc.RequestInfo",
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
        assert spoken["message"].split(": %")[0] == as_json["message"].removesuffix(".") or (
            spoken["message"] == as_json["message"]
        )
        assert spoken["details"][0]["reason"] in list(reason_pb2.Reason.keys())


def test_the_errors_of_the_edge_travel_with_the_codes_of_the_services() -> None:
    from services.runtime import errors

    for _, rest in mappers():
        spoken = rest["body_format_override"]["json_format"]
        reason = reason_pb2.Reason.Value(spoken["details"][0]["reason"])
        assert errors.ApiError(reason, "").status().code == spoken["code"]


@pytest.mark.parametrize(
    "error",
    [
        {"reason": "NOT_FOUND", "message": "Not there."},
        {"when": "true", "reason": "NOT_DOCUMENTED", "message": "Not there."},
        {"when": "true", "reason": "NOT_FOUND", "massage": "Not there."},
        {"when": "true", "reason": "NOT_FOUND"},
    ],
)
def test_an_error_that_is_not_written_as_one_is_refused(error: dict[str, Any]) -> None:
    with pytest.raises((TypeError, KeyError)):
        written([{"error": error}])


def test_render_changes_addresses_and_files_only(tmp_path: Path) -> None:
    target = tmp_path / "envoy.json"
    render_to(target)

    def differences(a: Any, b: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
            for key in a:
                yield from differences(a[key], b[key], (*path, key))
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for mine, theirs in zip(a, b, strict=True):
                yield from differences(mine, theirs, path)
        elif a != b:
            yield path

    found = set(differences(CONFIG, json.loads(target.read_text())))
    files = {"proto_descriptor", "filename", "file_path_prefix", "path"}
    assert {path[-1] for path in found} == {"address", "port_value", *files}
    assert all("socket_address" in path or path[-1] in files for path in found)
    rendered = json.loads(target.read_text())
    assert rendered["admin"]["address"]["socket_address"] == {
        "address": "127.0.0.1",
        "port_value": 19901,
    }


def test_render_writes_what_envoy_watches(tmp_path: Path) -> None:
    render_to(tmp_path / "envoy.json", services_tls=Path("/inside"), tls=Path("/outside"))
    folders = {"service": "/inside", "services-ca": "/inside"}
    written = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "sds").iterdir()}
    assert written.keys() == {"service", "services-ca", "internal", "clients-ca"}
    for name, content in written.items():
        [resource] = content["resources"]
        secret = resource.get("tls_certificate") or resource["validation_context"]
        folder = folders.get(name, "/outside")
        assert resource["name"] == name
        assert secret.pop("watched_directory") == {"path": folder}
        assert {Path(each["filename"]).parent for each in secret.values()} == {Path(folder)}


def test_the_edge_knows_each_service_by_its_own_name_and_shows_itself() -> None:
    clusters = {each["name"]: each for each in CONFIG["static_resources"]["clusters"]}
    assert clusters.keys() == {"edge", "admin", "traces", *UPSTREAMS}
    assert "transport_socket" not in clusters["edge"], "it calls itself, on loopback"
    for name in UPSTREAMS:
        tls = clusters[name]["transport_socket"]["typed_config"]
        context = tls["common_tls_context"]
        judged = context["combined_validation_context"]
        assert tls["sni"] == name
        assert context["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_3"
        assert judged["default_validation_context"]["match_typed_subject_alt_names"] == [
            {"san_type": "URI", "matcher": {"exact": service_uri(name)}}
        ]
        shown = context["tls_certificate_sds_secret_configs"]
        trusted = judged["validation_context_sds_secret_config"]
        assert [each["name"] for each in (*shown, trusted)] == ["service", "services-ca"]


@pytest.mark.parametrize("upstreams", [{}, {**UPSTREAMS, "billing": ("10.0.0.4", 4)}])
def test_render_names_what_is_missing_or_unknown(
    tmp_path: Path, upstreams: Mapping[str, tuple[str, int]]
) -> None:
    with pytest.raises(RenderError, match=r"auth, security, server_ops|billing"):
        render_to(tmp_path / "envoy.json", upstreams=upstreams)


def test_render_changes_the_limits_that_are_named(tmp_path: Path) -> None:
    render_to(tmp_path / "envoy.json", limits={"subject_limit": Limit(7, 3)})
    rendered = json.loads((tmp_path / "envoy.json").read_text())
    buckets = {
        http_filter["name"]: http_filter["typed_config"]["descriptors"][0]["token_bucket"]
        for listener in rendered["static_resources"]["listeners"]
        for http_filter in listener["filter_chains"][0]["filters"][0]["typed_config"][
            "http_filters"
        ]
        if http_filter["name"].endswith("_limit")
    }
    assert buckets["subject_limit"] == {
        "max_tokens": 7,
        "tokens_per_fill": 3,
        "fill_interval": "1s",
    }
    assert buckets["address_limit"]["max_tokens"] == 4000


@each_listener
@pytest.mark.parametrize(
    ("name", "burst", "per_second"), [("address_limit", 4000, 400), ("subject_limit", 2000, 200)]
)
def test_how_much_may_be_asked_for(listener: str, name: str, burst: int, per_second: int) -> None:
    [limit] = (each["typed_config"] for each in filters(listener) if each["name"] == name)
    [each_one] = limit["descriptors"]
    assert each_one["token_bucket"] == {
        "max_tokens": burst,
        "tokens_per_fill": per_second,
        "fill_interval": "1s",
    }


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    ca.make(tmp_path / "tls")
    return tmp_path / "tls"


def test_envoy_takes_the_configuration(tmp_path: Path, tls: Path) -> None:
    target = tmp_path / "envoy.json"
    render_to(target, tls=tls)
    validate(target)


def test_envoy_takes_the_file_as_it_is_deployed(tmp_path: Path, tls: Path) -> None:
    target = tmp_path / "envoy.json"
    ca.make_services(tmp_path / "inside")
    deploy(target, Options(), tls, tmp_path / "inside" / "edge")
    generated = target.read_text().replace("/etc/f2h/descriptor.binpb", str(DESCRIPTOR.absolute()))
    target.write_text(generated.replace("/etc/f2h", str(DESCRIPTOR.parent.absolute() / "edge")))
    validate(target)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("failure_mode_allow", "failure_mode_alow"),
        ("f2h.auth.v1.KeyService", "f2h.auth.v1.NoService"),
        ("REJECT_REQUEST", "REJECT_REQUESTS"),
    ],
)
def test_envoy_refuses_a_wrong_configuration(
    tmp_path: Path, tls: Path, right: str, wrong: str
) -> None:
    target = tmp_path / "envoy.json"
    render_to(target, tls=tls)
    text = target.read_text()
    assert right in text
    target.write_text(text.replace(right, wrong))
    with pytest.raises(EdgeError, match=wrong):
        validate(target)


def test_every_connection_has_a_limit_of_what_is_kept_for_it() -> None:
    """tests/edge/test_edge_streams.py shows what for."""
    resources = CONFIG["static_resources"]
    itself = {"admin", "edge"}
    there = [
        *resources["listeners"],
        *(each for each in resources["clusters"] if each["name"] not in itself),
    ]
    limits = {each["name"]: each.get("per_connection_buffer_limit_bytes") for each in there}
    images = limits.pop("provisioning")
    assert (set(limits.values()), images) == ({32768}, 1048576)


def test_envoy_says_nothing_of_deprecation(edge: Edge) -> None:
    log = edge.log.read_text().lower()
    assert "deprecated" not in log
    # Envoy asks for the keys of tokens before it knows its clusters, and again a second later.
    warnings = [line for line in log.splitlines() if "[warning]" in line]
    # file_server is new; tests/edge/test_edge_provisioning.py holds what is relied on.
    expected = ("jwks", "filters.http.file_server.v3", "common.async_files.v3")
    assert not [line for line in warnings if not any(word in line for word in expected)]
