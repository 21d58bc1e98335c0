"""The certificate by which the edge or a service shows who it is, and whom it trusts.

They are three files of one folder: service.pem (its certificate, and behind it those that lead from
its signer to an authority), service.key, and services-ca.pem with the authorities that sign for the
edge and the services, and for nobody else. Who it is stands in the certificate as a URI (SPIFFE-ID,
section 2), and for a service its name as a DNS name as well.
"""

import stat
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.runtime.clock import Clock, system_clock

TRUST_DOMAIN = "spiffe://f2hcloud/"

EDGE = f"{TRUST_DOMAIN}edge"
"""Whom the certificate of the edge names."""

CERTIFICATE, KEY, AUTHORITIES = FILES = ("service.pem", "service.key", "services-ca.pem")

log = structlog.get_logger()


def service_uri(name: str) -> str:
    """Whom the certificate of a service names."""
    return f"{TRUST_DOMAIN}service/{name}"


@dataclass(frozen=True)
class Shown:
    """What the files of a folder held when they were read; all of it is PEM."""

    uri: str
    """Who shows it."""
    until: datetime
    """When the certificate ends."""
    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes


class CertificateError(ValueError):
    """The files are not what they should be; the text names the file and holds nothing of it."""


def read(folder: Path, now: datetime, uri: str = "") -> Shown:
    """What the files hold, which fits together and counts `now`.

    Its certificate names `uri`, where one is given. Raises CertificateError.
    """
    texts = {name: _text(folder / name) for name in FILES}
    if (folder / KEY).stat().st_mode & stat.S_IRWXO:
        raise CertificateError(f"{KEY} must not be open to everybody on this machine")
    own, *_ = _certificates(CERTIFICATE, texts[CERTIFICATE])
    authorities = _certificates(AUTHORITIES, texts[AUTHORITIES])
    _refuse_if_over(CERTIFICATE, [own], now)
    _refuse_if_over(AUTHORITIES, authorities, now)
    if _public(_private_key(texts[KEY]).public_key()) != _public(own.public_key()):
        raise CertificateError(f"{KEY} is not the key of the certificate in {CERTIFICATE}")
    named = _uri(own)
    if uri and named != uri:
        raise CertificateError(f"{CERTIFICATE} names {named}, not {uri}")
    return Shown(named, own.not_valid_after_utc, texts[CERTIFICATE], texts[KEY], texts[AUTHORITIES])


class Certificates:
    """What a folder holds now: who renews the files need not restart the service.

    They are looked at whenever somebody connects, and before every call to another service. As long
    as they do not fit together, because they are just being replaced or for good, what they held
    before goes on to be shown.
    """

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        """Raises CertificateError."""
        self._folder = folder
        self._clock = clock
        self._seen = _state(folder)
        self._shown = read(folder, clock())

    def current(self) -> Shown:
        """What is to be shown: the same object until the files change."""
        seen = _state(self._folder)
        if seen == self._seen:
            return self._shown
        self._seen = seen
        try:
            shown = read(self._folder, self._clock(), self._shown.uri)
        except CertificateError as error:
            log.warning("certificates not renewed", cause=str(error))
        else:
            self._shown = shown
            log.info("certificates renewed", until=shown.until.isoformat())
        return self._shown


def _state(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """What is different after the files were replaced, or the folder that a link leads to."""
    try:
        found = [(folder / name).stat() for name in FILES]
    except OSError:
        return ()
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(f"{file.name} cannot be read: {error.strerror}") from None


def _certificates(name: str, text: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise CertificateError(f"{name} must hold certificates, PEM") from None


def _private_key(text: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError):
        raise CertificateError(f"{KEY} must hold a private key, PEM, not encrypted") from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refuse_if_over(name: str, certificates: list[x509.Certificate], now: datetime) -> None:
    """Raises CertificateError when none of them counts."""
    if not any(
        each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in certificates
    ):
        ends = max(each.not_valid_after_utc for each in certificates)
        raise CertificateError(f"{name} does not count now: it ended or ends {ends.isoformat()}")


def _uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise CertificateError(f"{CERTIFICATE} names nobody: it has no SAN") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith(TRUST_DOMAIN):
        raise CertificateError(f"{CERTIFICATE} must name one of us by one URI, {TRUST_DOMAIN}…")
    return uris[0]
