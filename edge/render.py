"""The edge's configuration, written for Envoy: edge/envoy.yaml with what an operator switches on.

`deploy` leaves its addresses and paths as they are; `render` writes it for one machine, where
nothing has a DNS name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge import errors, secrets
from edge.options import Options, apply

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
    services_tls: Path,
    images: Path,
    static: Path,
    limits: Mapping[str, Limit] | None = None,
    options: Options | None = None,
    traces: Address | None = None,
) -> None:
    """Writes edge/envoy.yaml with these addresses to `target`, as JSON, which Envoy reads too.

    `upstreams` has an address for each service of the configuration, by its cluster's name;
    `admin_port` is on the host that the configuration names (loopback); `descriptor` is the one in
    the folder of what was generated; `tls` is the folder of the edge's certificates, `services_tls`
    that of what it shows the services and trusts, `images` that of the images that machines boot,
    `static` that of what tools.static made. `limits` replaces those of the filters that it names.
    What Envoy reads of certificates is written into the folder `sds` beside `target`. `traces` is
    the collector that every trace is sent to; None: none is.

    Raises RenderError.
    """
    config = read()
    resources = config["static_resources"]
    config["admin"]["address"]["socket_address"]["port_value"] = admin_port
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
        for http_filter in _http_filters(listener):
            _limit(http_filter, limits or {})
            if source := http_filter["typed_config"].get("default_source_code", {}).get("filename"):
                code = descriptor.absolute().parent / "edge" / Path(source).name
                http_filter["typed_config"]["default_source_code"] = {"filename": str(code)}
            for mapping in http_filter["typed_config"].get("path_mappings", []):
                mapping["file_path_prefix"] = f"{images.absolute()}/"
        for mapping in _static_mappings(listener):
            mapping["file_path_prefix"] = f"{static.absolute()}/"
    if traces:
        sampling = {"name": "traces", "static_layer": {"tracing.random_sampling": EVERY_TRACE}}
        config["layered_runtime"] = {"layers": [sampling]}
    admin = (config["admin"]["address"]["socket_address"]["address"], admin_port)
    addresses = {"edge": public, "admin": admin, "traces": traces or NOWHERE, **upstreams}
    _match("upstream", resources["clusters"], set(addresses))
    for cluster in resources["clusters"]:
        for endpoint in _endpoints(cluster):
            _set(endpoint["address"], addresses[cluster["name"]])
    apply(config, options or Options())
    _write(config, target, tls, services_tls)


def deploy(target: Path, options: Options, tls: Path, services_tls: Path) -> None:
    """Writes edge/envoy.yaml with these options to `target`, and the folder `sds` beside it.

    `tls` and `services_tls` are folders of certificates, see `render`, as Envoy will see them.
    """
    config = read()
    apply(config, options)
    _write(config, target, tls, services_tls)


def read() -> dict[str, Any]:
    """The configuration of edge/envoy.yaml, with its errors as Envoy wants them."""
    # By way of JSON: what YAML's anchors share becomes many things, each of which can be changed.
    config = dict(json.loads(json.dumps(yaml.safe_load(SOURCE.read_text()))))
    for listener in config["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            for network_filter in chain["filters"]:
                if told := network_filter["typed_config"].get("local_reply_config"):
                    told["mappers"] = errors.written(told["mappers"])
    return config


def _write(config: dict[str, Any], target: Path, tls: Path, services_tls: Path) -> None:
    sds = target.absolute().parent / "sds"
    secrets.write(config, sds, tls.absolute(), services_tls.absolute())
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


def _static_mappings(listener: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        mapping
        for chain in listener["filter_chains"]
        for network_filter in chain["filters"]
        for host in network_filter["typed_config"]["route_config"]["virtual_hosts"]
        for route in host["routes"]
        for config in route.get("typed_per_filter_config", {}).values()
        for mapping in config.get("path_mappings", [])
    ]


def _transcoders(listener: dict[str, Any]) -> list[dict[str, Any]]:
    configs = (http_filter["typed_config"] for http_filter in _http_filters(listener))
    return [config for config in configs if "proto_descriptor" in config]


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
    address["socket_address"].update(address=to[0], port_value=to[1])
