"""The internal listener: TLS, and certificates of NOC services."""

import socket
import ssl
import warnings
from pathlib import Path

import httpx
import pytest

from lab import ca
from tests.edge.conftest import Edge
from tests.edge.stand_ins import GOOD_KEY

KEYS = "/api/keys"


@pytest.fixture
def tls(edge: Edge) -> Path:
    return edge.config.parent / "tls"


def context(tls: Path, client: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(tls / "ca.pem"))
    if client is not None:
        made.load_cert_chain(client / "client.pem", client / "client.key")
    return made


def ask(edge: Edge, verify: ssl.SSLContext) -> httpx.Response:
    url = f"https://127.0.0.1:{edge.internal.port}{KEYS}"
    return httpx.get(url, headers={"X-API-Key": GOOD_KEY}, verify=verify)


def test_a_certificate_is_shown_to_auth_by_the_name_in_it(edge: Edge, tls: Path) -> None:
    assert ask(edge, context(tls, tls)).status_code == 200
    assert ask(edge, context(tls)).status_code == 200
    first, second = edge.auth.seen
    assert first.source.principal == ca.NOC_SERVICE
    assert second.source.principal == ""


def test_a_certificate_of_another_authority_ends_the_connection(
    edge: Edge, tls: Path, tmp_path: Path
) -> None:
    ca.make(tmp_path / "foreign")
    with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
        ask(edge, context(tls, tmp_path / "foreign"))
    assert edge.auth.seen == []


def test_a_client_that_does_not_know_our_authority_does_not_trust_us(edge: Edge) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(edge, ssl.create_default_context())


def test_nothing_is_said_in_the_clear(edge: Edge) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{edge.internal.port}{KEYS}")
    assert edge.auth.seen == []


def test_old_versions_of_tls_are_refused(edge: Edge, tls: Path) -> None:
    old = context(tls)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", edge.internal.port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_present_versions_of_tls_are_spoken(
    edge: Edge, tls: Path, version: ssl.TLSVersion
) -> None:
    only = context(tls)
    only.minimum_version = only.maximum_version = version
    assert ask(edge, only).status_code == 200


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_the_protocol_is_agreed_upon(edge: Edge, tls: Path, protocol: str) -> None:
    asking = context(tls)
    asking.set_alpn_protocols([protocol])
    with (
        socket.create_connection(("127.0.0.1", edge.internal.port)) as plain,
        asking.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.selected_alpn_protocol() == protocol


def test_a_forwarded_certificate_header_is_nobody(edge: Edge, tls: Path) -> None:
    url = f"https://127.0.0.1:{edge.internal.port}{KEYS}"
    headers = {
        "X-API-Key": GOOD_KEY,
        "X-Forwarded-Client-Cert": f"URI={ca.NOC_SERVICE}",
    }
    assert httpx.get(url, headers=headers, verify=context(tls)).status_code == 200
    [seen] = edge.auth.seen
    assert seen.source.principal == ""
    [call] = edge.services["auth"].seen
    assert "x-forwarded-client-cert" not in call.metadata
