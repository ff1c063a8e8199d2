"""TLS contexts: always verifying, at least TLS 1.2. There is no way to switch verification off."""

import asyncio
import logging
import ssl
from functools import lru_cache
from pathlib import Path

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SuggestedChange
from mailsettings.domain.setting import Setting
from mailsettings.domain.trust import CustomTrust, Trust
from mailsettings.smtp.errors import StageFailed

CA_FILE_SETTING = "MAILSETTINGS_SMTP_CA_FILE"
MAX_CONTEXTS = 32
"""A context with the system's authorities costs 32 ms and 0.8 MB to make, so they are made once."""
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
"""For TLS 1.2, those of `ssl.create_default_context` without finite-field Diffie-Hellman (see `without_dhe`)."""

_log = logging.getLogger(__name__)


class TLSContexts:
    """Makes contexts; *ca_file* holds authorities of the organisation's own, beside the system's."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self.cached = lru_cache(MAX_CONTEXTS)(self._make)
        self._turn = asyncio.Lock()

    async def context(self, trust: Trust) -> ssl.SSLContext:
        """The context that verifies against *trust*; tests that need the same new one wait for each other.

        Raises `StageFailed` for certificates that cannot be loaded.
        """
        async with self._turn:
            try:
                return await asyncio.to_thread(self.cached, trust)
            except (OSError, ValueError) as error:  # an SSLError is an OSError
                raise _cannot_be_loaded(trust, error) from error

    def _make(self, trust: Trust) -> ssl.SSLContext:
        if isinstance(trust, CustomTrust):
            # With cadata nothing else is loaded. It is DER, because OpenSSL reads fewer forms of PEM than what
            # accepted the setting: none that is indented or on one line. A server's own certificate is an anchor
            # too, though an authority issued it.
            context = ssl.create_default_context(cadata=trust.der())
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context = ssl.create_default_context()
            if self._ca_file is not None:
                context.load_verify_locations(self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        # On since Python 3.13; it refuses authorities as `openssl req -x509` makes them, with no key usage.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
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
        ("Let whoever runs this service correct the file; the log has the reason.",),
        stage=ProbeStage.SECURE,
    )


def without_dhe(ciphers: str) -> str:
    """Return *ciphers* without finite-field Diffie-Hellman, whose group the server chooses in TLS 1.2.

    A group of 10,000 bits, the most that OpenSSL takes, stops the event loop for seconds. RFC 9325 4.2 advises
    against these cipher suites anyway. TLS 1.3 has named groups only (RFC 7919).
    """
    return f"{ciphers}:!kDHE"
