"""Recognise other protocols by their first words, and know which side speaks first on the mail ports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailsettings.domain.mail_server import ConnectionSecurity

IMPLICIT_TLS_PORTS = frozenset({465, 2465})
"""The client speaks first, with its ClientHello (RFC 8314 7.3)."""
GREETING_PORTS = frozenset({25, 587, 2525, 2587})
"""The server speaks first (RFC 5321 3.1, RFC 6409 3.1); filters reject clients that do not wait."""
# Best first, each with the connection security that the port is registered or known for.
USUAL_PORTS: Mapping[int, ConnectionSecurity] = {
    465: ConnectionSecurity.IMPLICIT_TLS,  # RFC 8314 7.3
    587: ConnectionSecurity.STARTTLS,  # RFC 6409 3.1
    25: ConnectionSecurity.STARTTLS,
    2525: ConnectionSecurity.STARTTLS,
}


@dataclass(frozen=True, slots=True)
class KnownPorts:
    """Ports by the side that speaks first, and the `usual` ports of a host, best first."""

    implicit_tls: frozenset[int] = IMPLICIT_TLS_PORTS
    greeting: frozenset[int] = GREETING_PORTS
    usual: Mapping[int, ConnectionSecurity] = field(default_factory=lambda: USUAL_PORTS)

    def are_settled(self, port: int) -> bool:
        """Return whether it is known which side speaks first on *port*."""
        return port in self.implicit_tls or port in self.greeting


_FIRST_WORDS = (
    (re.compile(r"SSH-\d"), "SSH"),  # RFC 4253 4.2
    (re.compile(r"HTTP/\d|<!DOCTYPE|<html", re.IGNORECASE), "HTTP"),  # RFC 9112 4
    (re.compile(r"\+OK|-ERR"), "POP3"),  # RFC 1939 3
    (re.compile(r"\* (OK|PREAUTH|BYE)\b"), "IMAP"),  # RFC 3501 7.1
    (re.compile(r"20[01][ -].*\b(NNTP|news)", re.IGNORECASE), "NNTP"),  # RFC 3977 5.1
    (re.compile(r"220[ -](?!.*SMTP).*\bL?FTP", re.IGNORECASE), "FTP"),  # RFC 959 5.4 has the same 220
    (re.compile(r"220[ -](?!.*SMTP).*\bLMTP", re.IGNORECASE), "LMTP"),  # RFC 2033 4.1
    (re.compile(r"[\x15\x16]\x03[\x00-\x04]"), "TLS"),  # RFC 8446 5.1: an alert or a handshake record
)
_MALFORMED = "Malformed SMTP response line: "


def identify_protocol(code: int, text: str) -> str | None:
    """Return the protocol of a server by its first words; None if it may be SMTP, or is unknown.

    For malformed replies *code* is -1, and aiosmtplib's prefix comes before the server's words.
    """
    said = text.removeprefix(_MALFORMED) if code < 0 else f"{code} {text}"
    return next((name for words, name in _FIRST_WORDS if words.match(said)), None)
