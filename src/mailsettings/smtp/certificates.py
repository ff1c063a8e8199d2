"""From OpenSSL's view of a connection to ours: version, cipher, and the certificates that were presented."""

import base64
import hashlib
import ssl
from collections.abc import Sequence
from datetime import UTC
from itertools import takewhile
from typing import Any, cast

from cryptography import x509

from mailsettings.domain.certificates import CertificateUnreadable, read_der, reading
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.smtp.replies import shown

MOST_CERTIFICATES = 10
MOST_NAMES = 20
_LINE = 64  # RFC 7468 2


def session_of(ssl_object: ssl.SSLObject) -> TLSSession:
    """How the connection of *ssl_object* is encrypted, and with whom, up to a certificate that cannot be read."""
    cipher = ssl_object.cipher()
    chain = tuple(takewhile(bool, map(_certificate, _presented(ssl_object))))
    return TLSSession(
        ssl_object.version() or "", cipher[0] if cipher else "", cast("tuple[Certificate, ...]", chain)
    )


def _presented(ssl_object: Any) -> Sequence[bytes]:
    """The DER of each certificate, the server's own first; before Python 3.13 only the inner object tells."""
    if hasattr(ssl_object, "get_unverified_chain"):
        return list(ssl_object.get_unverified_chain())[:MOST_CERTIFICATES]
    inner = ssl_object._sslobj  # noqa: SLF001  # see above; tests/smtp/test_trust.py holds it
    pems = [certificate.public_bytes() for certificate in inner.get_unverified_chain() or ()]
    return [ssl.PEM_cert_to_DER_cert(pem) for pem in pems[:MOST_CERTIFICATES]]


def _certificate(der: bytes) -> Certificate | None:
    """The certificate in *der*; None where OpenSSL took one that our library cannot read."""
    try:
        read = read_der(der)
        with reading("holds a part that cannot be read."):
            return Certificate(
                subject=shown(read.subject.rfc4514_string()),
                names=_names(read),
                issuer=shown(read.issuer.rfc4514_string()),
                not_before=read.not_valid_before_utc.astimezone(UTC),
                not_after=read.not_valid_after_utc.astimezone(UTC),
                sha256=hashlib.sha256(der).hexdigest(),
                pem=_pem(der),
            )
    except CertificateUnreadable:
        return None


def _names(read: x509.Certificate) -> tuple[str, ...]:
    """The names it is good for: subjectAltName only, as verification goes (RFC 9525)."""
    try:
        with reading("holds names that cannot be read."):
            found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except CertificateUnreadable:
        return ()
    names = [str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress)]
    return tuple(shown(name) for name in names[:MOST_NAMES])


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
