"""The edge's configuration with other addresses: for one machine, where nothing has a DNS name.

edge/envoy.yaml is the one configuration. Only addresses and the descriptor's path may differ.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("envoy.yaml")

Address = tuple[str, int]
"""A host and a port."""


class RenderError(Exception):
    """An address is missing, or one was given that the configuration does not have."""


def render(
    target: Path,
    *,
    public: Address,
    internal: Address,
    admin_port: int,
    upstreams: Mapping[str, Address],
    descriptor: Path,
) -> None:
    """Writes edge/envoy.yaml with these addresses to `target`, as JSON, which Envoy reads too.

    `upstreams` has an address for each cluster of the configuration, by its name; `admin_port` is
    on the host that the configuration names (loopback). Raises RenderError.
    """
    config = yaml.safe_load(SOURCE.read_text())
    resources = config["static_resources"]
    _set_port(config["admin"]["address"], admin_port)
    _match("listener", resources["listeners"], {"public", "internal"})
    for listener in resources["listeners"]:
        _set(listener["address"], public if listener["name"] == "public" else internal)
        for transcoder in _transcoders(listener):
            transcoder["proto_descriptor"] = str(descriptor.absolute())
    _match("upstream", resources["clusters"], set(upstreams))
    for cluster in resources["clusters"]:
        for endpoint in _endpoints(cluster):
            _set(endpoint["address"], upstreams[cluster["name"]])
    target.write_text(json.dumps(config, indent=1))


def _match(kind: str, there: list[dict[str, Any]], given: set[str]) -> None:
    names = {entry["name"] for entry in there}
    if missing := names - given:
        raise RenderError(f"no address given for {kind}: {', '.join(sorted(missing))}")
    if unknown := given - names:
        raise RenderError(f"{SOURCE.name} has no {kind}: {', '.join(sorted(unknown))}")


def _transcoders(listener: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        http_filter["typed_config"]
        for chain in listener["filter_chains"]
        for network_filter in chain["filters"]
        for http_filter in network_filter["typed_config"].get("http_filters", [])
        if "proto_descriptor" in http_filter["typed_config"]
    ]


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
