"""https on the public listener: how it is spoken, renewed, and what becomes of http://."""

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from edge.options import Options, Redirect
from lab import ca
from lab.ports import free_port
from services.runtime.secret_files import replace
from tests.edge.conftest import Edge, takes, variant
from tests.edge.stand_ins import GOOD_KEY, Client, eventually
from tests.edge.tokens import token

SERVERS = "/api/servers"
KEYS = "/api/keys"
REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("https") / "tls"
    ca.make(folder)
    return folder


@pytest.fixture(scope="module")
def clear() -> int:
    """The port of those who ask for http://."""
    return free_port()


@pytest.fixture(scope="module")
def https(running: Edge, tls: Path, clear: int) -> Iterator[Client]:
    options = Options(https=True, hsts_seconds=600, redirect=Redirect("127.0.0.1", clear, 4443))
    with variant(running, tls.parent, options=options) as other:
        yield other.public


def handshake(client: Client, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", client.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def trusting(tls: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tls / "ca.pem"))


def test_rest_and_grpc_go_on_as_before(edge: Edge, https: Client) -> None:
    assert https.rest("GET", SERVERS).status == 200
    assert https.grpc(LIST).error is None
    assert https.rest("GET", SERVERS, key=None).reason == "CREDENTIAL_MISSING"


def test_a_token_is_verified_by_keys_that_come_over_https_too(edge: Edge, https: Client) -> None:
    eventually(lambda: takes(https, token()))


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_the_protocol_is_agreed_upon(https: Client, tls: Path, protocol: str) -> None:
    context = trusting(tls)
    context.set_alpn_protocols([protocol])
    with handshake(https, context) as secure:
        assert secure.selected_alpn_protocol() == protocol


def test_the_newest_tls_is_spoken_and_old_ones_are_refused(https: Client, tls: Path) -> None:
    with handshake(https, trusting(tls)) as secure:
        assert secure.version() == "TLSv1.3"
    old = trusting(tls)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(https, old)


@pytest.mark.parametrize(
    "cipher",
    ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "AES128-SHA"],
)
def test_a_cipher_without_forward_secrecy_or_authentication_is_refused(
    https: Client, tls: Path, cipher: str
) -> None:
    weak = trusting(tls)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(https, weak)


def test_browsers_are_told_to_keep_to_https(edge: Edge, https: Client) -> None:
    for answer in (https.rest("GET", SERVERS), https.rest("GET", "/nothing")):
        assert answer.headers["strict-transport-security"] == "max-age=600"
    assert "strict-transport-security" not in edge.public.rest("GET", SERVERS).headers


def test_http_in_the_place_of_https_is_not_answered(https: Client) -> None:
    with closing(Client(https.port).connection()) as connection, pytest.raises(OSError):
        connection.request("GET", SERVERS)
        connection.getresponse()


def shown(client: Client) -> bytes:
    """The certificate that the listener shows, whoever signed it."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    with handshake(client, anybody) as secure:
        return secure.getpeercert(binary_form=True) or b""


def renew(folder: Path, *names: str) -> None:
    """Puts certificates of another authority in the place of these, as a renewal does."""
    fresh = folder.with_name("fresh")
    ca.make(fresh)
    for name in names:
        for ending in ("key", "pem"):
            replace(folder / f"{name}.{ending}", (fresh / f"{name}.{ending}").read_text())


def test_a_renewed_certificate_is_shown_without_a_restart(edge: Edge, tmp_path: Path) -> None:
    ca.make(tmp_path / "tls")
    with variant(edge, tmp_path, options=Options(https=True)) as other:
        before = shown(other.public)
        with closing(other.public.connection()) as kept:
            assert asked(kept) == 200
            renew(tmp_path / "tls", "public")
            eventually(lambda: shown(other.public) != before)
            assert asked(kept) == 200
        assert Client(other.public.port, tmp_path / "fresh").rest("GET", SERVERS).status == 200


def test_an_authority_of_the_nocs_services_is_replaced_without_a_restart(
    edge: Edge, tmp_path: Path
) -> None:
    ca.make(tmp_path / "tls")
    with variant(edge, tmp_path, options=Options()) as other:
        foreign = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
        ca.make(tmp_path / "fresh")
        foreign.load_cert_chain(
            tmp_path / "fresh" / "client.pem", tmp_path / "fresh" / "client.key"
        )

        def welcome() -> bool:
            url = f"https://127.0.0.1:{other.internal_port}{KEYS}"
            try:
                answer = httpx.get(url, headers={"X-API-Key": GOOD_KEY}, verify=foreign)
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        assert not welcome()
        both = (tmp_path / "tls" / "clients-ca.pem", tmp_path / "fresh" / "clients-ca.pem")
        replace(both[0], "".join(file.read_text() for file in both))
        eventually(welcome)


def test_a_damaged_certificate_does_not_take_the_place_of_a_good_one(
    edge: Edge, tmp_path: Path
) -> None:
    ca.make(tmp_path / "tls")
    with variant(edge, tmp_path, options=Options(https=True)) as other:
        before = shown(other.public)
        replace(tmp_path / "tls" / "public.pem", "not a certificate")
        eventually(lambda: "Failed to reload certificates" in other.log.read_text())
        assert shown(other.public) == before


def asked(connection: HTTPConnection) -> int:
    connection.request("GET", SERVERS, headers={"X-API-Key": GOOD_KEY})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.fixture
def http(https: Client, clear: int) -> Iterator[Client]:
    client = Client(clear)
    yield client
    client.channel.close()


@pytest.mark.parametrize("path", ["/docs/", "/api/servers?page_size=3", "/"])
def test_a_browser_is_sent_to_https(edge: Edge, http: Client, path: str) -> None:
    with closing(http.connection()) as connection:
        connection.request("GET", path, headers={"Host": "api.example:8080"})
        answer = connection.getresponse()
    assert answer.status == 308
    assert answer.headers["location"] == f"https://api.example:4443{path}"
    assert not edge.reached()
    assert not edge.auth.seen


@pytest.mark.parametrize(
    "shown", [{"x-api-key": GOOD_KEY}, {"authorization": "Bearer x"}, {"cookie": "session=x"}]
)
def test_who_shows_a_credential_in_the_clear_is_told_so(
    edge: Edge, http: Client, shown: dict[str, str]
) -> None:
    answer = http.rest("POST", REBOOT, key=None, headers=shown)
    assert (answer.status, answer.reason) == (403, "TLS_REQUIRED")
    assert "location" not in answer.headers
    native = http.grpc(LIST, key=None, metadata=shown)
    assert native.reason == "TLS_REQUIRED"
    assert not edge.reached()
    assert not edge.auth.seen


def test_grpc_in_the_clear_is_told_so(http: Client) -> None:
    assert http.grpc(LIST, key=None).reason == "TLS_REQUIRED"
