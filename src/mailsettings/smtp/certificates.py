"""From OpenSSL's view of a connection to ours: version, cipher, and the certificates that were presented."""

import base64
import hashlib
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from cryptography import x509

from mailsettings.domain.certificates import CertificateUnreadable, read_der, reading
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.smtp.replies import displayable_text

MAX_CERTIFICATES = 10
MAX_CERTIFICATE_BYTES = 32 * 1024
"""More than any certificate in use; OpenSSL itself takes 100 kB for a whole chain."""
MAX_NAMES = 20
_PEM_LINE_LENGTH = 64  # RFC 7468 2


def read_tls_session(ssl_object: ssl.SSLObject) -> TLSSession:
    """Return how the connection of *ssl_object* is encrypted, and with whom.

    A chain ends before the first certificate that cannot be read. Raises nothing for what a certificate contains.
    """
    cipher = ssl_object.cipher()
    return TLSSession(
        version=ssl_object.version() or "",
        cipher=cipher[0] if cipher else "",
        chain=tuple(parse_certificates(_chain(ssl_object, "get_unverified_chain"))),
        path=tuple(parse_certificates(_chain(ssl_object, "get_verified_chain"))),
    )


def _chain(ssl_object: Any, method: str) -> Sequence[bytes]:
    """Return the DER of each certificate, the server's own first; Python 3.12 has no public method for it."""
    if hasattr(ssl_object, method):
        return list(getattr(ssl_object, method)())[:MAX_CERTIFICATES]
    inner = ssl_object._sslobj  # noqa: SLF001  # see above; tests/smtp/test_trust.py holds it
    certificates = list(getattr(inner, method)() or ())[:MAX_CERTIFICATES]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in certificates]


def parse_certificates(ders: Sequence[bytes]) -> Iterator[Certificate]:
    """Yield the certificates as far as they can be read."""
    for der in ders:
        certificate = _parse_certificate(der)
        if certificate is None:
            return
        yield certificate


def _parse_certificate(der: bytes) -> Certificate | None:
    """The certificate in *der*; None where OpenSSL took one that our library cannot read."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        return None
    try:
        read = read_der(der)
        with reading("holds a part that cannot be read."):
            return Certificate(
                subject=displayable_text(read.subject.rfc4514_string()),
                names=_alternative_names(read),
                issuer=displayable_text(read.issuer.rfc4514_string()),
                not_before=read.not_valid_before_utc.astimezone(UTC),
                not_after=read.not_valid_after_utc.astimezone(UTC),
                sha256=hashlib.sha256(der).hexdigest(),
                pem=_pem(der),
            )
    except CertificateUnreadable:
        return None


def _alternative_names(read: x509.Certificate) -> tuple[str, ...]:
    """Return the names it is good for: subjectAltName only, as verification goes (RFC 9525).

    An extension that cannot be read leaves the rest of the certificate readable.
    """
    try:
        with reading("holds names that cannot be read."):
            found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except CertificateUnreadable:
        return ()
    names = [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]
    return tuple(displayable_text(name) for name in names[:MAX_NAMES])


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _PEM_LINE_LENGTH] for start in range(0, len(text), _PEM_LINE_LENGTH)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
