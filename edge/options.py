"""What an operator switches on: each option is a change to the configuration of edge/envoy.yaml."""

import copy
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge.errors import LocalReply, when

_TYPE = "type.googleapis.com/envoy.extensions"
_CORS = "envoy.filters.http.cors"
_TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
_YEAR_SECONDS = 31_536_000
_HTTPS_PORT = 443
_IN_THE_CLEAR = (
    "This was sent in the clear, and may have been read on its way: replace the credential, "
    "and call https."
)

MCP_PATH = "/mcp"
"""As edge/mcp.lua has it."""

Config = dict[str, Any]


@dataclass(frozen=True)
class Redirect:
    """A listener in the clear, for those who ask for http:// where https:// is spoken."""

    address: str
    port: int
    https_port: int
    """Where they are sent; 443 is not written."""


@dataclass(frozen=True)
class Options:
    """What is switched on; as it is here, nothing."""

    https: bool = False
    """The public listener speaks TLS, by public.pem and public.key among the certificates."""
    hsts_seconds: int = _YEAR_SECONDS
    """With https: for how long browsers keep to it (RFC 6797); 0: they are not told."""
    redirect: Redirect | None = None
    cors_origins: tuple[str, ...] = ()
    """Sites whose pages may call with a key, "https://console.example". Never with a cookie."""
    trusted_proxies: int = 0
    """How many proxies of ours stand in front, whose X-Forwarded-For is believed."""
    mcp: bool = False
    """AI agents may call at /mcp, by the Model Context Protocol: see docs/mcp.md."""


def apply(config: Config, options: Options) -> None:
    """Changes the configuration to what is switched on."""
    public = listener_of(config, "public")
    if options.https:
        _https(config, public, options.hsts_seconds)
    if options.redirect:
        config["static_resources"]["listeners"].append(_redirect(config, options.redirect))
    if options.cors_origins:
        _cors(config, public, options.cors_origins)
    if options.trusted_proxies:
        _trust(manager(public), options.trusted_proxies)
    if options.mcp:
        _mcp(public, options.cors_origins)


def _https(config: Config, listener: Config, hsts_seconds: int) -> None:
    internal = _chain(listener_of(config, "internal"))["transport_socket"]
    socket = copy.deepcopy(internal)
    tls = socket["typed_config"]["common_tls_context"]
    # Who calls here shows a key or a cookie: a certificate would say nothing.
    del tls["validation_context_sds_secret_config"]
    for secret in tls["tls_certificate_sds_secret_configs"]:
        secret["name"] = "public"
        source = secret["sds_config"]["path_config_source"]
        source["path"] = source["path"].replace("internal", "public")
    _chain(listener)["transport_socket"] = socket
    # It fetches the keys of tokens from itself, on loopback, where it alone listens.
    [itself] = (each for each in config["static_resources"]["clusters"] if each["name"] == "edge")
    itself["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"},
    }
    if hsts_seconds:
        header = {"key": "strict-transport-security", "value": f"max-age={hsts_seconds}"}
        mutation = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        _filter(listener, "edge_headers")["mutations"]["response_mutations"].append(
            {"append": mutation}
        )


def _redirect(config: Config, redirect: Redirect) -> Config:
    """Sends to https; but who shows a credential in the clear is told so, and not helped."""
    listener = copy.deepcopy(listener_of(config, "public"))
    _chain(listener).pop("transport_socket", None)
    listener["name"] = "redirect"
    listener["address"] = {
        "socket_address": {"address": redirect.address, "port_value": redirect.port}
    }
    connection = manager(listener)
    connection["stat_prefix"] = "redirect"
    told = LocalReply("response.code == 403", "TLS_REQUIRED", _IN_THE_CLEAR)
    connection["local_reply_config"]["mappers"][:0] = told.mappers()
    to = {"https_redirect": True, "response_code": "PERMANENT_REDIRECT"}
    if redirect.https_port != _HTTPS_PORT:
        to["port_redirect"] = redirect.https_port
    refused = {"status": 403, "body": {"inline_string": _IN_THE_CLEAR}}
    shown = [
        {"prefix": "/", "headers": [{"name": name, "present_match": True}]}
        for name in ("x-api-key", "authorization", "cookie")
    ]
    connection["route_config"] = {
        "name": "redirect",
        "virtual_hosts": [
            {
                "name": "redirect",
                "domains": ["*"],
                "routes": [
                    # A gRPC client follows no redirect.
                    *({"match": match, "direct_response": refused} for match in shown),
                    {"match": {"prefix": "/", "grpc": {}}, "direct_response": refused},
                    {"match": {"prefix": "/"}, "redirect": to},
                ],
            }
        ],
    }
    kept = ("edge_headers", "address_limit", "envoy.filters.http.router")
    connection["http_filters"] = [
        each for each in connection["http_filters"] if each["name"] in kept
    ]
    return listener


def _cors(config: Config, listener: Config, origins: tuple[str, ...]) -> None:
    connection = manager(listener)
    cors = {"name": _CORS, "typed_config": {"@type": f"{_TYPE}.filters.http.cors.v3.Cors"}}
    # Before what looks at the verb of a request.
    connection["http_filters"].insert(0, cors)
    [host] = connection["route_config"]["virtual_hosts"]
    host["typed_per_filter_config"][_CORS] = {
        "@type": f"{_TYPE}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in origins],
        "allow_methods": "GET, POST, PUT, PATCH, DELETE",
        "allow_headers": "x-api-key, authorization, content-type, idempotency-key",
        "expose_headers": "retry-after, allow, x-request-id, x-ratelimit-limit,"
        " x-ratelimit-remaining, x-ratelimit-reset",
        "max_age": "600",
        # A cookie is for pages of this host alone.
        "allow_credentials": False,
    }
    # The filter wants a route to somewhere, which a path has only when it is transcoded. What is
    # not gRPC ends at the transcoder: nothing comes this way, and nobody is there.
    nowhere = "nowhere"
    host["routes"].append(
        {
            "name": nowhere,
            "match": {
                "prefix": "/",
                "headers": [
                    {
                        "name": "content-type",
                        "string_match": {"prefix": "application/grpc"},
                        "invert_match": True,
                        "treat_missing_header_as_empty": True,
                    }
                ],
            },
            "route": {"cluster": nowhere},
        }
    )
    config["static_resources"]["clusters"].append({"name": nowhere, "type": "STATIC"})


def _cors_policy(connection: Config) -> Config:
    [host] = connection["route_config"]["virtual_hosts"]
    return _mapping(host["typed_per_filter_config"][_CORS])


def _trust(connection: Config, proxies: int) -> None:
    connection["xff_num_trusted_hops"] = proxies
    [extension] = connection["early_header_mutation_extensions"]
    forwarded = {"remove_on_match": {"key_matcher": {"prefix": "x-forwarded-"}}}
    mutations = extension["typed_config"]["mutations"]
    at = mutations.index(forwarded)
    # All but X-Forwarded-For, of which Envoy believes the last ones.
    mutations[at : at + 1] = [
        {"remove": f"x-forwarded-{name}"} for name in ("client-cert", "host", "port", "proto")
    ]


def _mcp(listener: Config, origins: tuple[str, ...]) -> None:
    """Envoy's MCP bridge: a call of a tool becomes the REST call, and goes on as one.

    It is marked as work in progress, so what it does not look at is looked at around it.
    """
    connection = manager(listener)
    allowed = "".join(f'["{origin}"] = true, ' for origin in origins)
    tools = json.loads(files("f2h").joinpath("mcp.json").read_text())
    bridge = {
        "name": "envoy.filters.http.mcp_json_rest_bridge",
        "typed_config": {
            "@type": f"{_TYPE}.filters.http.mcp_json_rest_bridge.v3.McpJsonRestBridge",
            "tool_config": {
                "default_server_info": {"path": MCP_PATH},
                "tools": [
                    {"name": each["definition"]["name"], "http_rule": each["http_rule"]}
                    for each in tools
                ],
                # auth answers with the tools of the caller's key.
                "tool_list_http_rule": {"get": "/api/mcp/tools"},
            },
        },
    }
    # Where the body is there in whole, and its size was looked at.
    at = [each["name"] for each in connection["http_filters"]].index(_TRANSCODER)
    connection["http_filters"][at:at] = [
        _lua("mcp", f"local origins = {{{allowed}}}\n\n"),
        bridge,
        _lua("mcp_call"),
    ]
    if origins:
        _cors_policy(connection)["allow_headers"] += ", mcp-protocol-version"
    told = LocalReply(
        f"response.code == 403 && request.url_path == '{MCP_PATH}'",
        "ORIGIN_NOT_ALLOWED",
        rest_message="%LOCAL_REPLY_BODY%",
    )
    connection["local_reply_config"]["mappers"][:0] = [
        # JSON-RPC has errors of its own form.
        {"filter": when("response.code_details.startsWith('mcp_json_rest_bridge_')")},
        *told.mappers(),
    ]


def _lua(name: str, before: str = "") -> Config:
    """A filter that runs edge/{name}.lua."""
    code = before + Path(__file__).with_name(f"{name}.lua").read_text()
    return {
        "name": name,
        "typed_config": {
            "@type": f"{_TYPE}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    }


def listener_of(config: Config, name: str) -> Config:
    """The listener of this name."""
    [found] = (each for each in config["static_resources"]["listeners"] if each["name"] == name)
    return _mapping(found)


def manager(listener: Config) -> Config:
    """The HTTP connection manager of a listener."""
    [network_filter] = _chain(listener)["filters"]
    return _mapping(network_filter["typed_config"])


def _chain(listener: Config) -> Config:
    [chain] = listener["filter_chains"]
    return _mapping(chain)


def _filter(listener: Config, name: str) -> Config:
    [found] = (each for each in manager(listener)["http_filters"] if each["name"] == name)
    return _mapping(found["typed_config"])


def _mapping(value: Any) -> Config:
    """What YAML gave no type, as the mapping that it is."""
    if not isinstance(value, dict):
        raise TypeError(f"a mapping was expected, not {type(value).__name__}")
    return value
