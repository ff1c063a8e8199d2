"""What a mail server's certificate is verified against: the system's authorities, or given ones only."""

import ssl
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mailsettings.domain.certificates import CertificateUnreadable, read_pem, require_readable
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting

MAX_CERTIFICATES = 10
MAX_PEM_LENGTH = 32 * 1024


@dataclass(frozen=True, slots=True)
class SystemTrust:
    """The authorities that this machine trusts."""


@dataclass(frozen=True, slots=True)
class CustomTrust:
    """Only these certificates, authorities or the server's own; `pem` is kept as it was given."""

    pem: str

    @classmethod
    def parse(cls, pem: str) -> Self:
        """Accept one to ten PEM certificates. Raises `InvalidSetting` for anything else, keys above all."""
        if len(pem) > MAX_PEM_LENGTH:
            raise _refused(f"must not be longer than {MAX_PEM_LENGTH} characters.")
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
    """Raise `CertificateUnreadable` for what our library or OpenSSL would reject or leave out later."""
    certificates = read_pem(given.pem)
    if len(certificates) > MAX_CERTIFICATES:
        raise CertificateUnreadable(f"must not hold more than {MAX_CERTIFICATES} certificates.")
    # The library passes over blocks that are cut off or hold something else.
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
