"""Choose the TLS context for the certificates that a setting trusts, and read what a connection presents."""

import asyncio
import base64
import hashlib
import logging
import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509

from mailsettings.domain.certificates import CertificateUnreadable, CustomTrust, Trust, read_der, reading
from mailsettings.domain.connection_test import FailureCode, ProbeStage, SuggestedChange
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.domain.setting import Setting
from mailsettings.network.tls import client_context
from mailsettings.smtp.errors import StageFailed
from mailsettings.smtp.redaction import displayable_text

CA_FILE_SETTING = "MAILSETTINGS_SMTP_CA_FILE"
MAX_CONTEXTS = 32
"""A context with the system's authorities takes 32 ms and 0.8 MB, so contexts are cached."""

_log = logging.getLogger(__name__)


class TLSContexts:
    """Makes and caches contexts; *ca_file* has the organisation's own authorities, in addition to the system's."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self.cached = lru_cache(MAX_CONTEXTS)(self._make)
        self._turn = asyncio.Lock()

    async def context(self, trust: Trust) -> ssl.SSLContext:
        """Return the context that verifies against *trust*. A lock stops parallel tests from making it twice.

        Raises `StageFailed` for certificates that cannot be loaded.
        """
        async with self._turn:
            try:
                return await asyncio.to_thread(self.cached, trust)
            except (OSError, ValueError) as error:  # an SSLError is an OSError
                raise _cannot_be_loaded(trust, error) from error

    def _make(self, trust: Trust) -> ssl.SSLContext:
        if isinstance(trust, CustomTrust):
            # With ca_data no other authority is loaded. It is DER, because OpenSSL reads fewer forms of PEM than
            # the setting accepts: no indented or one-line PEM. PARTIAL_CHAIN makes a server's own certificate a
            # trust anchor although an authority issued it.
            context = client_context(ca_data=trust.der())
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context = client_context()
            if self._ca_file is not None:
                context.load_verify_locations(self._ca_file)
        return context


class OwnCertificates(TLSContexts):
    """Contexts for our own relays: each trusts exactly the certificate of the relay, at any address."""

    def _make(self, trust: Trust) -> ssl.SSLContext:
        context = super()._make(trust)
        context.check_hostname = not isinstance(trust, CustomTrust)
        return context


def _cannot_be_loaded(trust: Trust, error: Exception) -> StageFailed:
    if isinstance(trust, CustomTrust):
        return StageFailed(
            FailureCode.SETTING_INVALID,
            "the certificates to trust cannot be loaded.",
            ("Send them again, in PEM form.",),
            (SuggestedChange(Setting.CERTIFICATE),),
            ProbeStage.SECURE,
        )
    _log.error("%s cannot be loaded: %s", CA_FILE_SETTING, error)
    return StageFailed(
        FailureCode.SETTING_INVALID,
        f"the file of {CA_FILE_SETTING} cannot be loaded.",
        ("Ask this service's administrator to correct the file; the log has the reason.",),
        stage=ProbeStage.SECURE,
    )


def without_dhe(ciphers: str) -> str:
    """Return *ciphers* without finite-field Diffie-Hellman, for the reason at `network.tls.CIPHERS`."""
    return f"{ciphers}:!kDHE"


MAX_CERTIFICATES = 10
MAX_CERTIFICATE_BYTES = 32 * 1024
"""Larger than real certificates; OpenSSL accepts 100 kB for a whole chain."""
MAX_NAMES = 20
_PEM_LINE_LENGTH = 64  # RFC 7468 2


def read_tls_session(ssl_object: ssl.SSLObject) -> TLSSession:
    """Return version, cipher and certificates of a connection.

    A chain ends before the first certificate that cannot be read. Malformed certificates raise no error.
    """
    cipher = ssl_object.cipher()
    return TLSSession(
        version=ssl_object.version() or "",
        cipher=cipher[0] if cipher else "",
        chain=tuple(parse_certificates(_chain(ssl_object, "get_unverified_chain"))),
        path=tuple(parse_certificates(_chain(ssl_object, "get_verified_chain"))),
    )


def _chain(ssl_object: Any, method: str) -> Sequence[bytes]:
    """Return the DER of each certificate, the server's own first."""
    if hasattr(ssl_object, method):
        return list(getattr(ssl_object, method)())[:MAX_CERTIFICATES]
    inner = ssl_object._sslobj  # noqa: SLF001  # public only since Python 3.13; tests/smtp/test_trust.py checks it
    certificates = list(getattr(inner, method)() or ())[:MAX_CERTIFICATES]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in certificates]


def parse_certificates(ders: Sequence[bytes]) -> Iterator[Certificate]:
    """Yield the certificates up to the first unreadable certificate."""
    for der in ders:
        certificate = _parse_certificate(der)
        if certificate is None:
            return
        yield certificate


def _parse_certificate(der: bytes) -> Certificate | None:
    """Return the certificate in *der*, or None if OpenSSL accepted it and `cryptography` cannot read it."""
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
    """Return the names in subjectAltName, the only names that verification uses (RFC 9525 2).

    If the extension cannot be read, the rest of the certificate still is.
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
