"""What a part of ours shows: read whole or not at all, and taken up again when it is renewed."""

import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from structlog.testing import capture_logs

from lab import ca
from services.runtime.certificates import (
    AUTHORITIES,
    CERTIFICATE,
    EDGE,
    FILES,
    KEY,
    CertificateError,
    Certificates,
    read,
    service_uri,
)

ROOT = Path(__file__).parents[3]

NOW = datetime.now(UTC)

Break = Callable[[Path, ca.Authority], object]


@pytest.fixture
def authority(tmp_path: Path) -> ca.Authority:
    return ca.replace_services(tmp_path, NOW)


@pytest.fixture
def folder(tmp_path: Path, authority: ca.Authority) -> Path:
    return tmp_path / "auth"


def test_what_fits_together_is_read(folder: Path) -> None:
    shown = read(folder, NOW)
    assert shown.uri == service_uri("auth") == "spiffe://f2hcloud/service/auth"
    assert read(folder.parent / "edge", NOW).uri == EDGE
    assert [shown.certificate, shown.key, shown.authorities] == [
        (folder / name).read_bytes() for name in FILES
    ]
    assert abs(shown.until - NOW - ca.VALID) < timedelta(seconds=1)


def test_what_the_documentation_makes_is_read(tmp_path: Path) -> None:
    [script] = re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "security.md").read_text(), re.DOTALL
    )
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, capture_output=True)
    for part in ("edge", *ca.SERVICES):
        uri = EDGE if part == "edge" else service_uri(part)
        shown = read(tmp_path / "services-tls" / part, datetime.now(UTC), uri)
        [authority] = x509.load_pem_x509_certificates(shown.authorities)
        x509.load_pem_x509_certificate(shown.certificate).verify_directly_issued_by(authority)


def test_the_key_is_not_in_what_is_printed_of_it(folder: Path) -> None:
    shown = read(folder, NOW)
    assert "PRIVATE" not in repr(shown)
    assert "CERTIFICATE" in repr(shown)


def noc_client(folder: Path, _authority: ca.Authority) -> None:
    ca.make(folder / "noc", NOW)
    (folder / "noc" / "client.pem").rename(folder / CERTIFICATE)
    (folder / "noc" / "client.key").rename(folder / KEY)


def nameless(folder: Path, authority: ca.Authority) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("auth")])
    authority.issue(folder / CERTIFICATE, folder / KEY, names, ca.SERVER)


def two_names(folder: Path, authority: ca.Authority) -> None:
    uris = [x509.UniformResourceIdentifier(each) for each in (EDGE, service_uri("auth"))]
    names = x509.SubjectAlternativeName(uris)
    authority.issue(folder / CERTIFICATE, folder / KEY, names, ca.SERVER)


def foreign(folder: Path, authority: ca.Authority) -> None:
    names = ca.client_name("spiffe://example.net/service/auth")
    authority.issue(folder / CERTIFICATE, folder / KEY, names, ca.SERVER)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        *((lambda folder, _, n=name: (folder / n).unlink(), f"^{name} cannot") for name in FILES),
        *(
            (lambda folder, _, n=name: (folder / n).write_text("canary"), f"^{name} must hold")
            for name in FILES
        ),
        (lambda folder, _: (folder / KEY).chmod(0o604), f"^{KEY} must not be open"),
        (
            lambda folder, _: (folder / KEY).write_bytes(
                (folder.parent / "edge" / KEY).read_bytes()
            ),
            f"^{KEY} is not the key",
        ),
        (
            lambda folder, authority: authority.issue_part(folder, "auth", NOW - 2 * ca.VALID),
            f"^{CERTIFICATE} does not count now: it ended",
        ),
        (
            lambda folder, authority: authority.issue_part(folder, "auth", NOW + ca.VALID),
            f"^{CERTIFICATE} does not count now",
        ),
        (
            lambda folder, _: ca.trust(folder, ca.Authority("old", NOW - 2 * ca.VALID)),
            f"^{AUTHORITIES} does not count now",
        ),
        (noc_client, f"^{CERTIFICATE} names {ca.NOC_SERVICE}, not {service_uri('auth')}$"),
        (nameless, f"^{CERTIFICATE} must name one of us"),
        (two_names, f"^{CERTIFICATE} must name one of us"),
        (foreign, f"^{CERTIFICATE} must name one of us"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_name(
    folder: Path, authority: ca.Authority, broken: Break, told: str
) -> None:
    broken(folder, authority)
    with pytest.raises(CertificateError, match=told) as refused:
        read(folder, NOW, service_uri("auth"))
    assert "canary" not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_an_old_authority_may_stand_beside_a_new_one(folder: Path, authority: ca.Authority) -> None:
    ca.trust(folder, ca.Authority("old", NOW - 2 * ca.VALID), authority)
    assert read(folder, NOW).authorities.count(b"BEGIN") == 2


def test_it_is_read_again_only_when_it_changed(folder: Path, authority: ca.Authority) -> None:
    certificates = Certificates(folder)
    first = certificates.current()
    assert certificates.current() is first
    authority.issue_part(folder, "auth")
    second = certificates.current()
    assert second.certificate == (folder / CERTIFICATE).read_bytes() != first.certificate
    assert certificates.current() is second


def test_a_folder_behind_a_link_is_replaced_as_one(folder: Path, authority: ca.Authority) -> None:
    """As orchestrators do it with the files that they bring into a container."""
    link = folder.parent / "link"
    link.symlink_to(folder)
    certificates = Certificates(link)
    first = certificates.current()
    newer = folder.parent / "newer"
    authority.issue_part(newer, "auth")
    ca.trust(newer, authority)
    (folder.parent / "new link").symlink_to(newer)
    os.replace(folder.parent / "new link", link)
    assert certificates.current().key == (newer / KEY).read_bytes() != first.key


def test_a_half_of_a_renewal_is_not_taken(folder: Path, authority: ca.Authority) -> None:
    newer = folder.parent / "newer"
    authority.issue_part(newer, "auth")
    certificates = Certificates(folder)
    first = certificates.current()
    (newer / KEY).rename(folder / KEY)
    with capture_logs() as logs:
        assert certificates.current() is first
        assert certificates.current() is first
    told = {"event": "certificates not renewed", "log_level": "warning"}
    assert logs == [
        {**told, "cause": f"{KEY} is not the key of the certificate in {CERTIFICATE}"}
    ], "once"
    (newer / CERTIFICATE).rename(folder / CERTIFICATE)
    assert certificates.current().certificate != first.certificate


def test_who_it_is_does_not_change(folder: Path, authority: ca.Authority) -> None:
    certificates = Certificates(folder)
    first = certificates.current()
    authority.issue_part(folder, "security")
    assert certificates.current() is first


def test_what_is_gone_is_shown_as_it_was(folder: Path) -> None:
    certificates = Certificates(folder)
    first = certificates.current()
    (folder / AUTHORITIES).unlink()
    assert certificates.current() is first
