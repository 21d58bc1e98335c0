"""The certificate authority of one machine: made once, renewed in time, and never in halves."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from lab import ca
from services.runtime.certificates import EDGE, read, service_uri

NOW = datetime.now(UTC)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def fits(folder: Path) -> bool:
    """Whether what is presented was signed by what is trusted, and its key is its own."""
    for name, trusted in (("internal.pem", "ca.pem"), ("client.pem", "clients-ca.pem")):
        try:
            certificate(folder / name).verify_directly_issued_by(certificate(folder / trusted))
        except (ValueError, InvalidSignature):
            return False
        key = serialization.load_pem_private_key(
            (folder / name).with_suffix(".key").read_bytes(), None
        )
        if key.public_key() != certificate(folder / name).public_key():
            return False
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ca.make(tmp_path / "tls", NOW)
    return tmp_path / "tls"


def test_what_it_makes_fits_together_and_is_private(folder: Path) -> None:
    assert fits(folder)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert "ca.key" not in content(folder)


def test_the_names_are_those_that_are_called(folder: Path) -> None:
    def names(file: str) -> x509.SubjectAlternativeName:
        extensions = certificate(folder / file).extensions
        return extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names("client.pem").get_values_for_type(x509.UniformResourceIdentifier) == [
        ca.NOC_SERVICE
    ]
    assert names("internal.pem").get_values_for_type(x509.DNSName) == ["localhost", "envoy"]
    addresses = names("internal.pem").get_values_for_type(x509.IPAddress)
    assert [str(each) for each in addresses] == ["127.0.0.1", "::1"]


def test_it_is_made_once(folder: Path) -> None:
    before = content(folder)
    ca.make(folder, NOW + timedelta(days=300))
    assert content(folder) == before


def test_it_is_renewed_before_it_ends(folder: Path) -> None:
    before = content(folder)
    ca.make(folder, NOW + timedelta(days=340))
    after = content(folder)
    assert before.keys() == after.keys()
    assert not [name for name in after if after[name] == before[name]]
    assert fits(folder)


# --- Between the edge and the services


PARTS = ("edge", *ca.SERVICES)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    ca.make_services(tmp_path / "parts", NOW)
    return tmp_path / "parts"


def all_content(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_each_part_has_a_folder_of_its_own_that_is_private(parts: Path) -> None:
    for part in PARTS:
        shown = read(parts / part, NOW)
        assert shown.uri == (EDGE if part == "edge" else service_uri(part))
        [trusted] = x509.load_pem_x509_certificates(shown.authorities)
        certificate(parts / part / "service.pem").verify_directly_issued_by(trusted)
        assert stat.S_IMODE((parts / part).stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in all_content(parts)} == {0o600}
    assert len({(parts / part / "service.key").read_bytes() for part in PARTS}) == len(PARTS)
    # The authority's own key is kept nowhere.
    assert sorted(file.parent.name for file in parts.rglob("*.key")) == sorted(PARTS)


def test_the_edge_is_no_server_and_a_service_is_both(parts: Path) -> None:
    for part in PARTS:
        extensions = certificate(parts / part / "service.pem").extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ca.CLIENT[0] in usage
        assert (ca.SERVER[0] in usage) == (part != "edge")


def test_neither_authority_signs_for_the_other(folder: Path, parts: Path) -> None:
    for signed, by in (
        (folder / "client.pem", parts / "edge" / "services-ca.pem"),
        (parts / "edge" / "service.pem", folder / "clients-ca.pem"),
    ):
        with pytest.raises((ValueError, InvalidSignature)):
            certificate(signed).verify_directly_issued_by(certificate(by))


def test_the_parts_are_made_once_and_renewed_together(parts: Path) -> None:
    before = all_content(parts)
    ca.make_services(parts, NOW + timedelta(days=300))
    assert all_content(parts) == before
    ca.make_services(parts, NOW + timedelta(days=340))
    after = all_content(parts)
    assert before.keys() == after.keys()
    assert not [file for file in after if after[file] == before[file]]
    for part in PARTS:
        read(parts / part, NOW + timedelta(days=340))


# --- A renewal that stops


@pytest.mark.parametrize("name", ["internal.pem", "internal.key", "client.key", "clients-ca.pem"])
def test_a_renewal_that_was_interrupted_is_done_again(folder: Path, name: str) -> None:
    """Some files are new, and the one that tells, which is written last, is not."""
    ca.make(folder.parent / "newer", NOW + timedelta(days=340))
    (folder / name).write_bytes((folder.parent / "newer" / name).read_bytes())
    ca.make(folder, NOW + timedelta(days=340))
    assert fits(folder)


def test_the_file_that_tells_is_written_last(folder: Path) -> None:
    written = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert written[-1].name == "ca.pem"
    (folder / "ca.pem").unlink()
    ca.make(folder, NOW)
    assert fits(folder)
