"""X.509 certificates: how to read them, and which of them verify a mail server's certificate."""

import ssl
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting

_PANIC = "PanicException"
"""The library raises this for a defect in its Rust part: a `BaseException` that no module exports."""


class CertificateUnreadable(ValueError):
    """A certificate cannot be read; `str()` is a predicate that names the part and quotes no content."""


def read_pem(pem: str) -> Sequence[x509.Certificate]:
    """Return every certificate in *pem*, in order. Raises `CertificateUnreadable`."""
    with reading("must be one or more certificates in PEM form."):
        return x509.load_pem_x509_certificates(pem.encode("ascii"))


def first_certificate(pem: str) -> str:
    """Return the first certificate in *pem*, in PEM form. Raises `CertificateUnreadable`."""
    return read_pem(pem)[0].public_bytes(Encoding.PEM).decode()


def read_der(der: bytes) -> x509.Certificate:
    """Return the certificate in *der*. Raises `CertificateUnreadable`."""
    with reading("must be a certificate in DER form."):
        return x509.load_der_x509_certificate(der)


def require_readable(certificate: x509.Certificate) -> None:
    """Read each part that verification depends on. Raises `CertificateUnreadable`."""
    with reading("holds a certificate with an unreadable subject."):
        certificate.subject.rfc4514_string()
    with reading("holds a certificate with an unreadable issuer."):
        certificate.issuer.rfc4514_string()
    with reading("holds a certificate with unreadable dates."):
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    with reading("holds a certificate with an unusable public key."):
        certificate.public_key()
    with reading("holds a certificate with an extension that cannot be read."):
        _read_extensions(certificate)


@contextmanager
def reading(problem: str) -> Iterator[None]:
    """Raise `CertificateUnreadable` with *problem* for any error of the library in the block.

    The library parses most parts at their first access. It documents no base class for its errors: besides
    `ValueError` it raises `TypeError`, `InvalidVersion`, `DuplicateExtension` and `UnsupportedAlgorithm`.
    """
    try:
        with warnings.catch_warnings():
            # The library warns about serial numbers that are not positive; RFC 5280 4.1.2.2 asks to accept them.
            warnings.simplefilter("ignore")
            yield
    except x509.InvalidVersion as error:
        raise CertificateUnreadable("holds a certificate of an unknown version.") from error
    except Exception as error:
        raise CertificateUnreadable(problem) from error
    except BaseException as error:
        if type(error).__name__ == _PANIC:
            raise CertificateUnreadable(problem) from error
        raise


def _read_extensions(certificate: x509.Certificate) -> None:
    try:
        _ = certificate.extensions
    except x509.UnsupportedGeneralNameType:
        # The library lacks some kinds of names in RFC 5280 4.2.1.6; OpenSSL, which verifies, knows them.
        return


MAX_CERTIFICATES = 10
# Ten certificates with RSA keys of 4096 bits need about 20 kB.
MAX_PEM_LENGTH = 32 * 1024


@dataclass(frozen=True, slots=True)
class SystemTrust:
    """The authorities that this machine trusts."""


@dataclass(frozen=True, slots=True)
class CustomTrust:
    """Only these certificates, of authorities or of the server itself; `pem` is stored as it was given."""

    pem: str

    @classmethod
    def parse(cls, pem: str) -> Self:
        """Parse one to ten PEM certificates. Raises `InvalidSetting` for anything else, above all private keys."""
        if len(pem) > MAX_PEM_LENGTH:
            raise _refused(f"must not be longer than {MAX_PEM_LENGTH} characters.")
        # Before parsing, so that the error never depends on the rest of the content.
        if "PRIVATE KEY" in pem:
            raise _refused("must not contain a private key.")
        given = cls(pem)
        try:
            _require_usable(given)
        except CertificateUnreadable as problem:
            raise _refused(str(problem)) from problem
        return given

    def der(self) -> bytes:
        """Return the certificates as OpenSSL loads them. Raises `CertificateUnreadable`."""
        return b"".join(certificate.public_bytes(Encoding.DER) for certificate in read_pem(self.pem))


Trust = SystemTrust | CustomTrust


def _require_usable(given: CustomTrust) -> None:
    """Raise `CertificateUnreadable` for certificates that the library or OpenSSL would later reject or skip."""
    certificates = read_pem(given.pem)
    if len(certificates) > MAX_CERTIFICATES:
        raise CertificateUnreadable(f"must not hold more than {MAX_CERTIFICATES} certificates.")
    # The library silently skips truncated blocks and blocks of other types.
    if given.pem.count("-----BEGIN ") != len(certificates):
        raise CertificateUnreadable("must hold nothing but whole certificates.")
    for certificate in certificates:
        require_readable(certificate)
        _require_loadable(certificate)


def _require_loadable(certificate: x509.Certificate) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=certificate.public_bytes(Encoding.DER)
        )
    except (ssl.SSLError, ValueError) as error:
        raise CertificateUnreadable("holds a certificate that OpenSSL cannot load.") from error


def _refused(problem: str) -> InvalidSetting:
    return InvalidSetting(Setting.CERTIFICATE, problem)
