"""Addresses whose answers nobody on the way can have written: HTTPS, and HTTP on this machine itself."""

import ipaddress
from urllib.parse import urlsplit


def is_secure_url(url: str) -> bool:
    """Whether *url* is an `https` address, or an `http` one of loopback; without user, fragment and zone."""
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\@#"):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    # A "%" escapes a character or begins a zone (RFC 6874), and readers of URLs differ about both.
    if not host or "%" in host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
