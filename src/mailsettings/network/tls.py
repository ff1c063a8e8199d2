"""TLS contexts for outbound connections: always verifying, TLS 1.2 or newer."""

import ssl
from pathlib import Path

CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
"""For TLS 1.2, those of `ssl.create_default_context` without finite-field Diffie-Hellman.

The server chooses its group, and one of 10,000 bits, the most that OpenSSL accepts, stops the event loop for
seconds. RFC 9325 4.2 advises against these cipher suites anyway. TLS 1.3 has named groups only (RFC 7919).
"""


def client_context(*, ca_file: Path | None = None, ca_data: bytes | None = None) -> ssl.SSLContext:
    """Return a context that trusts the certificates in *ca_file* and *ca_data*, or the system's if there are none.

    Raises `OSError`; `ssl.SSLError` if certificates cannot be loaded.
    """
    context = ssl.create_default_context(cafile=ca_file, cadata=ca_data)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # On since Python 3.13; it rejects authorities as `openssl req -x509` makes them, without key usage.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
