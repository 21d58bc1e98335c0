"""A certificate authority for one machine: what an operator's own does for an installation."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.runtime.secret_files import replace

VALID = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=30)

NOC_SERVICE = "spiffe://f2hcloud/noc/make-up"
"""Whom the client certificate names."""

_SERVER_NAMES = ("localhost", "envoy")
"""This machine, and the edge as docker-compose.yml calls it."""
_SERVER_ADDRESSES = ("127.0.0.1", "::1")


def make(folder: Path, now: datetime | None = None) -> None:
    """Makes the authority and its certificates in a folder, unless they are there and last.

    ca.pem, which clients trust; public.pem and .key of the edge's public listener, for https;
    internal.pem and .key of its internal listener, with clients-ca.pem, which it trusts; client.pem
    and .key of a NOC service. `now` is the time of another clock than the machine's.
    """
    now = now or datetime.now(UTC)
    if _lasts(folder / "ca.pem", now):
        return
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _sign("F2HCloud development CA", ca_key, None, ca_key, now)
    for name, san, usage in (
        ("public", _server_names(), ExtendedKeyUsageOID.SERVER_AUTH),
        ("internal", _server_names(), ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", client_name(NOC_SERVICE), ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        issue(folder, name, san, usage, ca=ca, ca_key=ca_key, now=now)
    _write(folder / "clients-ca.pem", ca)
    # Last: as long as it is missing or old, all of them are made again, so that they fit together.
    _write(folder / "ca.pem", ca)


def issue(
    folder: Path,
    name: str,
    san: x509.SubjectAlternativeName,
    usage: x509.ObjectIdentifier,
    *,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> None:
    """Writes NAME.pem and NAME.key, mode 0600."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write(folder / f"{name}.pem", _sign(name, key, (ca, san, usage), ca_key, now))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    replace(folder / f"{name}.key", pem.decode())


def client_name(name: str) -> x509.SubjectAlternativeName:
    """What the edge tells auth about who shows the certificate: a URI."""
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)])


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issued: tuple[x509.Certificate, x509.SubjectAlternativeName, x509.ObjectIdentifier] | None,
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
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
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


def _write(file: Path, certificate: x509.Certificate) -> None:
    replace(file, certificate.public_bytes(serialization.Encoding.PEM).decode())
