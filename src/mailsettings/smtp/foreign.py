"""Other protocols by their first words, so that "this is an IMAP server" can be said instead of "failed"."""

import re

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
    """The name of the protocol that a server speaks who said this; None if it may be SMTP, or is not known.

    A reply that is none has *code* -1, and aiosmtplib's own words before the server's.
    """
    said = text.removeprefix(_MALFORMED) if code < 0 else f"{code} {text}"
    return next((name for words, name in _FIRST_WORDS if words.match(said)), None)
