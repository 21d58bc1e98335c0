"""gRPC between our own parts: both sides show a certificate of the services' own authority.

TLS 1.2 at least, 1.3 where both speak it, which they do (gRPC Core, grpc_ssl_server_credentials).
"""

from collections.abc import Sequence
from pathlib import Path

import grpc
import grpc.aio
import structlog

from services.runtime.certificates import Certificates, Shown
from services.runtime.renewed_channel import RenewedChannel

log = structlog.get_logger()

Options = Sequence[tuple[str, str | int]]

FIND_AGAIN: Options = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 1000),  # how long an attempt may take, despite its name
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
)
"""Services start in any order, and replicas come and go: one that is there, also at an address that
its name did not have before, is found in about a second. gRPC's own limits are 120 s and 30 s."""


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """With these a server demands a certificate, and ends the handshake with who shows none.

    `folder` is that of services.runtime.certificates, which is looked at in every handshake. Raises
    CertificateError.
    """
    certificates = Certificates(folder)
    served = certificates.current()
    log.info("certificate", uri=served.uri, until=served.until.isoformat())

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        before, served = served, certificates.current()
        return None if served is before else _configuration(served)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(served),
        renewed,  # type: ignore[arg-type]  # None, as documented: nothing is new
        require_client_authentication=True,
    )


def channel(
    folder: Path | None, service: str, address: str, options: Options = ()
) -> grpc.aio.Channel:
    """A channel to a service, which must show a certificate with this name, wherever it is.

    `folder` is that of services.runtime.certificates; None: in the clear. Raises CertificateError.
    """
    if folder is None:
        return grpc.aio.insecure_channel(address, (*FIND_AGAIN, *options))

    def open_channel(shown: Shown) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(
            address, channel_credentials(shown), (*FIND_AGAIN, *options, *expecting(service))
        )

    return RenewedChannel(Certificates(folder), open_channel)


def channel_credentials(shown: Shown) -> grpc.ChannelCredentials:
    """With these a client shows who it is, and trusts our own authority and nobody else."""
    return grpc.ssl_channel_credentials(shown.authorities, shown.key, shown.certificate)


def expecting(service: str) -> Options:
    """The options of a channel that ends it unless the certificate at its end has this DNS name."""
    return (("grpc.default_authority", service),)


def _configuration(shown: Shown) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(shown.key, shown.certificate)], shown.authorities
    )
