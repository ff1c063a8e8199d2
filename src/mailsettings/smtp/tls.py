"""TLS contexts: always verifying, at least TLS 1.2. There is no way to switch verification off."""

import asyncio
import ssl
from functools import lru_cache
from pathlib import Path

from mailsettings.domain.trust import GivenCertificates, Trust

CONTEXTS_KEPT = 32
"""A context with the system's authorities costs 32 ms and 0.8 MB to make, so they are made once."""


class TLSTrust:
    """Makes contexts; *ca_file* holds authorities of the organisation's own, beside the system's."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self.made = lru_cache(CONTEXTS_KEPT)(self._make)
        self._turn = asyncio.Lock()

    async def context(self, trust: Trust) -> ssl.SSLContext:
        """The context that verifies against *trust*; tests that need the same new one wait for each other."""
        async with self._turn:
            return await asyncio.to_thread(self.made, trust)

    def _make(self, trust: Trust) -> ssl.SSLContext:
        if isinstance(trust, GivenCertificates):
            # With cadata nothing else is loaded. A server's own certificate is an anchor too, though an
            # authority issued it.
            context = ssl.create_default_context(cadata=trust.pem)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context = ssl.create_default_context()
            if self._ca_file is not None:
                context.load_verify_locations(self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # On since Python 3.13; it refuses authorities as `openssl req -x509` makes them, with no key usage.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context
