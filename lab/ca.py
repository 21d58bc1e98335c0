"""Certificate authorities for one machine: what an operator's own do for an installation.

`make` is that of the NOC's listener, `make_services` that of the edge and the services. They are
two: what one of them signs opens nothing of the other's.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.runtime.certificates import AUTHORITIES, CERTIFICATE, EDGE, KEY, service_uri
from services.runtime.secret_files import replace

VALID = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=30)

NOC_SERVICE = "spiffe://f2hcloud/noc/make-up"
"""Whom the client certificate names."""

SERVICES = ("auth", "server_ops", "security")

_SERVER_NAMES = ("localhost", "envoy")
"""This machine, and the edge as docker-compose.yml calls it."""
_SERVER_ADDRESSES = ("127.0.0.1", "::1")

Usage = Sequence[x509.ObjectIdentifier]
"""What a certificate is good for."""

SERVER: Usage = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT: Usage = (ExtendedKeyUsageOID.CLIENT_AUTH,)


class Authority:
    """Signs certificates. Its key is kept in memory alone."""

    def __init__(self, name: str, now: datetime) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._now = now
        self.certificate = _sign(name, self._key, None, self._key, now)

    def issue(
        self,
        certificate: Path,
        key: Path,
        san: x509.SubjectAlternativeName,
        usage: Usage,
        now: datetime | None = None,
    ) -> None:
        """Writes a new certificate and its key, mode 0600; `now` is when it was made."""
        own = ec.generate_private_key(ec.SECP256R1())
        issued = (self.certificate, san, usage)
        signed = _sign(certificate.stem, own, issued, self._key, now or self._now)
        pem = own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        replace(key, pem.decode())
        _write(certificate, [signed])

    def issue_part(self, folder: Path, part: str, now: datetime | None = None) -> None:
        """Writes the certificate and the key of a service, or of "edge", which nobody calls."""
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(EDGE)]
        usage = CLIENT
        if part != "edge":
            names = [x509.UniformResourceIdentifier(service_uri(part)), x509.DNSName(part)]
            usage = (*SERVER, *CLIENT)
        san = x509.SubjectAlternativeName(names)
        self.issue(folder / CERTIFICATE, folder / KEY, san, usage, now)


def make(folder: Path, now: datetime | None = None) -> None:
    """Makes the authority and its certificates in a folder, unless they are there and last.

    ca.pem, which clients trust; public.pem and .key of the edge's public listener, for https;
    internal.pem and .key of its internal listener, with clients-ca.pem, which it trusts; client.pem
    and .key of a NOC service. `now` is the time of another clock than the machine's.
    """
    now = now or datetime.now(UTC)
    if _lasts(folder / "ca.pem", now):
        return
    authority = Authority("F2HCloud development CA", now)
    for name, san, usage in (
        ("public", _server_names(), SERVER),
        ("internal", _server_names(), SERVER),
        ("client", client_name(NOC_SERVICE), CLIENT),
    ):
        authority.issue(folder / f"{name}.pem", folder / f"{name}.key", san, usage)
    _write(folder / "clients-ca.pem", [authority.certificate])
    # Last: as long as it is missing or old, all of them are made again, so that they fit together.
    _write(folder / "ca.pem", [authority.certificate])


def make_services(folder: Path, now: datetime | None = None) -> None:
    """Makes the services' authority and its certificates, unless they are there and last.

    There is a folder for each part of what it shows and trusts: see services.runtime.certificates.
    """
    now = now or datetime.now(UTC)
    if not _lasts(folder / AUTHORITIES, now):
        replace_services(folder, now)


def replace_services(folder: Path, now: datetime) -> Authority:
    """Does what make_services does, whatever is there, and answers with the authority."""
    authority = Authority("F2HCloud development CA of the services", now)
    for part in ("edge", *SERVICES):
        authority.issue_part(folder / part, part)
        trust(folder / part, authority)
    # Last, as above.
    trust(folder, authority)
    return authority


def trust(folder: Path, *authorities: Authority) -> None:
    """Writes whom the part trusts whose folder this is."""
    _write(folder / AUTHORITIES, [each.certificate for each in authorities])


def client_name(name: str) -> x509.SubjectAlternativeName:
    """What the edge tells auth about who shows the certificate: a URI."""
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)])


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issued: tuple[x509.Certificate, x509.SubjectAlternativeName, Usage] | None,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """A certificate; without `issued`, that of the authority itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued[0].subject if issued else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=issued is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .add_extension(_usage(ca=issued is None), critical=True)
    )
    if issued is not None:
        _, san, usage = issued
        builder = builder.add_extension(san, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _server_names() -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in _SERVER_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in _SERVER_ADDRESSES]
    return x509.SubjectAlternativeName(names)


def _lasts(file: Path, now: datetime) -> bool:
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return certificate.not_valid_after_utc - now > RENEWED_BEFORE


def _write(file: Path, certificates: Iterable[x509.Certificate]) -> None:
    pem = (each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)
    replace(file, "".join(pem))
