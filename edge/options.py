"""What an operator switches on: each option is a change to the configuration of edge/envoy.yaml."""

import base64
import copy
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

_TYPE = "type.googleapis.com/envoy.extensions"
_YEAR_SECONDS = 31_536_000
_HTTPS_PORT = 443
_IN_THE_CLEAR = (
    "This was sent in the clear, and may have been read on its way: replace the credential, "
    "and call https."
)

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
    connection["local_reply_config"]["mappers"][:0] = _in_the_clear()
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


def _in_the_clear() -> list[Config]:
    """How `_redirect` refuses: for native gRPC, and for REST."""
    info = error_details_pb2.ErrorInfo(reason="TLS_REQUIRED", domain="f2hcloud")
    status = status_pb2.Status(code=code_pb2.PERMISSION_DENIED, message=_IN_THE_CLEAR)
    status.details.add().Pack(info)
    details = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    native = "request.headers['content-type'].startsWith('application/grpc')"
    overwrite = "OVERWRITE_IF_EXISTS_OR_ADD"
    headers = {"grpc-status": str(status.code), "grpc-status-details-bin": details}
    return [
        {
            "filter": _when(
                f"response.code == 403 && 'content-type' in request.headers && {native}"
            ),
            "headers_to_add": [
                {"header": {"key": key, "value": value}, "append_action": overwrite}
                for key, value in headers.items()
            ],
            "body_format_override": {"text_format_source": {"inline_string": _IN_THE_CLEAR}},
        },
        {
            "filter": _when("response.code == 403"),
            "body_format_override": {"json_format": json_format.MessageToDict(status)},
        },
    ]


def _when(expression: str) -> Config:
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": f"{_TYPE}.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": expression,
            },
        }
    }


def _cors(config: Config, listener: Config, origins: tuple[str, ...]) -> None:
    connection = manager(listener)
    name = "envoy.filters.http.cors"
    cors = {"name": name, "typed_config": {"@type": f"{_TYPE}.filters.http.cors.v3.Cors"}}
    # Before what looks at the verb of a request.
    connection["http_filters"].insert(0, cors)
    [host] = connection["route_config"]["virtual_hosts"]
    host["typed_per_filter_config"][name] = {
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
