"""What Envoy is told of certificates: a file for each one that the configuration names.

Envoy reads a certificate again only when it comes by SDS, even from a file. It does so when a file
of the watched folder is replaced by another one, as `mv` does it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_CERTIFICATES = "tls_certificate_sds_secret_configs"
_AUTHORITY = "validation_context_sds_secret_config"


def write(
    config: Any, folder: Path, tls: Path, elsewhere: Mapping[str, Path] | None = None
) -> None:
    """Writes NAME.json into `folder` for each secret NAME, and its path into the configuration.

    A certificate is NAME.pem and NAME.key in the folder `tls`, an authority NAME.pem; those that
    `elsewhere` names are in the folder that it says. What has a path already keeps it.
    """
    folder.mkdir(exist_ok=True)
    for secret, resource in _secrets(config, tls):
        name = secret["name"]
        secret["sds_config"] = {"path_config_source": {"path": str(folder / f"{name}.json")}}
        resource |= {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
        }
        (folder / f"{name}.json").write_text(json.dumps({"resources": [resource]}, indent=1))


def _secrets(config: Any, tls: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every place that names a secret, and what it is."""
    if isinstance(config, list):
        for each in config:
            yield from _secrets(each, tls)
    if isinstance(config, dict):
        watched = {"watched_directory": {"path": str(tls)}}
        for secret in config.get(_CERTIFICATES, []):
            chain = {"filename": str(tls / f"{secret['name']}.pem")}
            key = {"filename": str(tls / f"{secret['name']}.key")}
            yield (
                secret,
                {"tls_certificate": {"certificate_chain": chain, "private_key": key, **watched}},
            )
        if secret := config.get(_AUTHORITY):
            ca = {"filename": str(tls / f"{secret['name']}.pem")}
            yield secret, {"validation_context": {"trusted_ca": ca, **watched}}
        for each in config.values():
            yield from _secrets(each, tls)
