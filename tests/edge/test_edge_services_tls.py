"""Between the edge and the services: each knows the other by its certificate, renewed or not."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import grpc
import pytest
from cryptography import x509

from lab import ca
from services.runtime.certificates import EDGE
from services.runtime.mutual_tls import server_credentials
from tests.edge.conftest import Edge, begun
from tests.edge.stand_ins import Answer, Call, Service, eventually

READ = "/api/servers"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"

PARTS = ("edge", *ca.SERVICES)

Credentials = Callable[[], grpc.ServerCredentials | None]


def read(edge: Edge) -> Answer:
    return edge.public.rest("GET", READ)


def shown(call: Call, what: str) -> bytes:
    """What gRPC tells of the connection that a call came by."""
    told: Mapping[str, Iterable[bytes]] = call.context.auth_context()  # type: ignore[assignment]
    [one] = told[what]
    return one


def test_what_is_shown_is_the_certificate_of_the_edge(edge: Edge) -> None:
    assert read(edge).status == 200
    [call] = edge.services["server_ops"].seen
    assert shown(call, "peer_spiffe_id") == EDGE.encode()
    assert shown(call, "ssl_tls_version") == b"TLSv1.3"


@contextmanager
def in_place_of_server_ops(edge: Edge, credentials: Credentials) -> Iterator[None]:
    """Where server_ops should be, there is who shows these."""
    service = edge.services["server_ops"]
    other = Service(service.tls)
    other.address, other.credentials = service.address, credentials
    service.stop()
    other.start()
    try:
        yield
        assert other.seen == []
    finally:
        other.stop()
        service.start()
        eventually(lambda: read(edge).status == 200)


def another_service(edge: Edge, folder: Path) -> Credentials:
    return lambda: server_credentials(edge.services["security"].tls)


def another_authority(edge: Edge, folder: Path) -> Credentials:
    ca.make_services(folder)
    return lambda: server_credentials(folder / "server_ops")


def over(edge: Edge, folder: Path) -> Credentials:
    edge.authority.issue_part(folder, "server_ops", datetime.now(UTC) - 2 * ca.VALID)
    shown = [(folder / f"service.{kind}").read_bytes() for kind in ("key", "pem")]
    return lambda: grpc.ssl_server_credentials([(shown[0], shown[1])])


def in_the_clear(edge: Edge, folder: Path) -> Credentials:
    return lambda: None


@pytest.mark.parametrize("wrong", [another_service, another_authority, over, in_the_clear])
def test_who_is_not_the_service_is_not_spoken_to(
    edge: Edge, tmp_path: Path, wrong: Callable[[Edge, Path], Credentials]
) -> None:
    with in_place_of_server_ops(edge, wrong(edge, tmp_path)):
        for answer in (read(edge), edge.public.grpc(LIST)):
            assert answer.status in {503, 0}
            assert answer.reason == "DEPENDENCY_UNAVAILABLE"


class Reader:
    """Reads without a pause in a thread of its own."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.statuses: list[int] = []

    def _run(self) -> None:
        while not self._over.is_set():
            self.statuses.append(read(self._edge).status)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()


def test_a_new_authority_takes_over_without_a_restart_or_a_failed_call(tmp_path: Path) -> None:
    """By trust that overlaps. Connections end early here, so that each step is seen at once."""
    with begun(tmp_path, max_connection_age_ms=300) as edge, Reader(edge) as reader:
        tls = edge.config.parent / "services-tls"
        service = edge.services["server_ops"]
        new = ca.Authority("new", datetime.now(UTC))

        def seen() -> bool:
            """Whether the edge shows a certificate of the new authority."""
            pem = shown(service.seen[-1], "x509_pem_cert")
            return x509.load_pem_x509_certificate(pem).issuer == new.certificate.subject

        eventually(lambda: len(service.seen) > 0)
        assert not seen()
        for part in PARTS:
            ca.trust(tls / part, edge.authority, new)
        for part in PARTS:
            new.issue_part(tls / part, part)
        eventually(seen)
        for part in PARTS:
            ca.trust(tls / part, new)
        before = {call.context.peer() for call in service.seen}
        eventually(lambda: service.seen[-1].context.peer() not in before)
    assert set(reader.statuses) == {200}
