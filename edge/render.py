"""The edge's configuration with other addresses: for one machine, where nothing has a DNS name.

edge/envoy.yaml is the one configuration. Only addresses, the paths of files and the limits may
differ.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("envoy.yaml")

Address = tuple[str, int]
"""A host and a port."""


@dataclass(frozen=True)
class Limit:
    """How much somebody may ask for: so many calls at once, and then so many a second."""

    burst: int
    per_second: int


EVERY_TRACE = 10_000
"""All of them, in hundredths of a per cent, as Envoy counts what it samples."""

NOWHERE: Address = ("127.0.0.1", 9)
"""Where nobody listens, and where nothing is sent: the port that discards (RFC 863)."""

UNLIMITED = Limit(1_000_000_000, 1_000_000_000)
"""More than anybody can ask for."""


class RenderError(Exception):
    """An address is missing, or one was given that the configuration does not have."""


def render(
    target: Path,
    *,
    public: Address,
    internal: Address,
    provisioning: Address,
    metrics: Address,
    admin_port: int,
    upstreams: Mapping[str, Address],
    descriptor: Path,
    tls: Path,
    images: Path,
    limits: Mapping[str, Limit] | None = None,
    traces: Address | None = None,
) -> None:
    """Writes edge/envoy.yaml with these addresses to `target`, as JSON, which Envoy reads too.

    `upstreams` has an address for each service of the configuration, by its cluster's name;
    `admin_port` is on the host that the configuration names (loopback); `tls` is the folder of the
    internal listener's certificates, `images` that of the images that machines boot. `limits`
    replaces those of the filters that it names. `traces` is the collector that every trace is sent
    to; None: none is. Raises RenderError.
    """
    config = yaml.safe_load(SOURCE.read_text())
    resources = config["static_resources"]
    _set_port(config["admin"]["address"], admin_port)
    listeners = {
        "public": public,
        "internal": internal,
        "provisioning": provisioning,
        "metrics": metrics,
    }
    _match("listener", resources["listeners"], set(listeners))
    for listener in resources["listeners"]:
        _set(listener["address"], listeners[listener["name"]])
        for transcoder in _transcoders(listener):
            transcoder["proto_descriptor"] = str(descriptor.absolute())
        for file in _tls_files(listener):
            file["filename"] = str(tls.absolute() / Path(file["filename"]).name)
        for http_filter in _http_filters(listener):
            _limit(http_filter, limits or {})
            for mapping in http_filter["typed_config"].get("path_mappings", []):
                mapping["file_path_prefix"] = f"{images.absolute()}/"
    if traces:
        sampling = {"name": "traces", "static_layer": {"tracing.random_sampling": EVERY_TRACE}}
        config["layered_runtime"] = {"layers": [sampling]}
    admin = (config["admin"]["address"]["socket_address"]["address"], admin_port)
    addresses = {"edge": public, "admin": admin, "traces": traces or NOWHERE, **upstreams}
    _match("upstream", resources["clusters"], set(addresses))
    for cluster in resources["clusters"]:
        for endpoint in _endpoints(cluster):
            _set(endpoint["address"], addresses[cluster["name"]])
    target.write_text(json.dumps(config, indent=1))


def _match(kind: str, there: list[dict[str, Any]], given: set[str]) -> None:
    names = {entry["name"] for entry in there}
    if missing := names - given:
        raise RenderError(f"no address given for {kind}: {', '.join(sorted(missing))}")
    if unknown := given - names:
        raise RenderError(f"{SOURCE.name} has no {kind}: {', '.join(sorted(unknown))}")


def _http_filters(listener: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        http_filter
        for chain in listener["filter_chains"]
        for network_filter in chain["filters"]
        for http_filter in network_filter["typed_config"].get("http_filters", [])
    ]


def _transcoders(listener: dict[str, Any]) -> list[dict[str, Any]]:
    configs = (http_filter["typed_config"] for http_filter in _http_filters(listener))
    return [config for config in configs if "proto_descriptor" in config]


def _tls_files(listener: dict[str, Any]) -> list[dict[str, Any]]:
    contexts = [
        chain["transport_socket"]["typed_config"]["common_tls_context"]
        for chain in listener["filter_chains"]
        if "transport_socket" in chain
    ]
    return [
        file
        for context in contexts
        for certificate in context["tls_certificates"]
        for file in (
            certificate["certificate_chain"],
            certificate["private_key"],
            context["validation_context"]["trusted_ca"],
        )
    ]


def _limit(http_filter: dict[str, Any], limits: Mapping[str, Limit]) -> None:
    limit = limits.get(http_filter["name"])
    if limit is not None:
        for descriptor in http_filter["typed_config"]["descriptors"]:
            bucket = descriptor["token_bucket"]
            bucket.update(max_tokens=limit.burst, tokens_per_fill=limit.per_second)


def _endpoints(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        each["endpoint"]
        for locality in cluster["load_assignment"]["endpoints"]
        for each in locality["lb_endpoints"]
    ]


def _set(address: dict[str, Any], to: Address) -> None:
    # A new dictionary: what a YAML anchor shares must not change in two places.
    address["socket_address"] = {**address["socket_address"], "address": to[0], "port_value": to[1]}


def _set_port(address: dict[str, Any], port: int) -> None:
    address["socket_address"] = {**address["socket_address"], "port_value": port}
