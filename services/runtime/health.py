"""Asks a service of this machine whether it lives: `python -m services.runtime.health NAME`.

It reads where NAME listens, and with which certificate, from the service's own settings, and shows
that certificate. Status 0: it serves; 1: it does not, or does not answer; 2: a setting is wrong.
"""

import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime import certificates, mutual_tls
from services.runtime.clock import system_clock
from services.runtime.networks import parse_address
from services.runtime.settings import Reached, host_and_port

SECONDS = 2.0


def serves(service: str, listen: str, tls: Path | None) -> bool:
    """Whether a service that listens there with the certificate of this folder says so."""
    with _channel(service, _reached_at(listen), tls) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=SECONDS
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(service: str, address: str, tls: Path | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address)
    shown = certificates.read(tls, system_clock())
    credentials = mutual_tls.channel_credentials(shown)
    return grpc.secure_channel(address, credentials, mutual_tls.expecting(service))


def _reached_at(listen: str) -> str:
    """The address of a server that may listen on all of this machine's."""
    host, port = host_and_port(listen)
    address = parse_address(host)
    if address is None or not address.is_unspecified:
        return listen
    return f"127.0.0.1:{port}" if address.version == 4 else f"[::1]:{port}"  # noqa: PLR2004


def main() -> int:
    """Asks the service that the one argument names."""
    [service] = sys.argv[1:]

    class Asked(Reached, env_prefix=f"F2H_{service.upper()}_"):
        """Where it is, of the settings that it was started with."""

    settings = Asked.load()
    return 0 if serves(service, settings.listen, settings.tls) else 1


if __name__ == "__main__":
    sys.exit(main())
