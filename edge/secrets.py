"""What Envoy is told of certificates: a file for each one that the configuration names.

Envoy reads a certificate again only when it comes by SDS, even from a file. It does so when a file
of the watched folder is replaced by another one, as `mv` does it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_INSIDE = frozenset({"service", "services-ca"})

_FILES = {
    "tls_certificate": {"certificate_chain": ".pem", "private_key": ".key"},
    "validation_context": {"trusted_ca": ".pem"},
}


def write(config: Any, folder: Path, tls: Path, services_tls: Path) -> None:
    """Writes NAME.json into `folder` for each secret NAME, and its path into the configuration.

    A certificate is NAME.pem and NAME.key, an authority NAME.pem: what services are shown and
    trusted by in the folder `services_tls`, the others in `tls`.
    """
    folder.mkdir(exist_ok=True)
    for secret, kind in _secrets(config):
        name = secret["name"]
        secret["sds_config"] = {"path_config_source": {"path": str(folder / f"{name}.json")}}
        there = services_tls if name in _INSIDE else tls
        resource = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            kind: {
                **{
                    file: {"filename": str(there / name) + end}
                    for file, end in _FILES[kind].items()
                },
                "watched_directory": {"path": str(there)},
            },
        }
        (folder / f"{name}.json").write_text(json.dumps({"resources": [resource]}, indent=1))


def _secrets(config: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place that names a secret, and what kind of secret it is."""
    if isinstance(config, list):
        for each in config:
            yield from _secrets(each)
    if isinstance(config, dict):
        for secret in config.get("tls_certificate_sds_secret_configs", []):
            yield secret, "tls_certificate"
        if secret := config.get("validation_context_sds_secret_config"):
            yield secret, "validation_context"
        for each in config.values():
            yield from _secrets(each)
