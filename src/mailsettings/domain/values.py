"""Checked values: secrets, addresses, host names, URLs."""

import ipaddress
import re
import secrets
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn, Self
from urllib.parse import urlsplit

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.setting import Setting

LABEL_BYTES = 6
MASK = "*" * 10
"""The text that replaces a secret in output; long enough for schemas that require 8 characters."""


class Secret:
    """A password or client secret; only `reveal` returns its text.

    The audit log shows its `label`: a random text, new for each secret that a caller gives, even if the secret is
    the same as before, so that the label confirms no guess. The label is stored with the secret, and so is
    `stored_at`, the time at which a caller gave it; None if an earlier program stored it.
    """

    __slots__ = ("_open", "is_sealed", "label", "stored_at")

    def __init__(self, text: str) -> None:
        self._open: Callable[[], str] = lambda: text
        self.is_sealed = False
        self.label = secrets.token_hex(LABEL_BYTES)
        self.stored_at: datetime | None = datetime.now(UTC)

    @classmethod
    def sealed(cls, opener: Callable[[], str], label: str, stored_at: datetime | None = None) -> Self:
        """Return a stored secret that is decrypted at each use; *opener* may raise `SecretUnreadable`."""
        secret = cls("")
        secret._open = opener
        secret.is_sealed = True
        secret.label = label
        secret.stored_at = stored_at
        return secret

    def reveal(self) -> str:
        """Return the text. Raises `SecretUnreadable` if it is sealed and cannot be decrypted."""
        return self._open()

    def __repr__(self) -> str:
        return MASK

    # Equality decrypts both, so code on the way of a request compares labels with `is_same_secret`.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")


def is_same_secret(stored: Secret | None, new: Secret | None) -> bool:
    """Return whether *new* is *stored* itself; comparing their texts instead would confirm a right guess."""
    if stored is None or new is None:
        return stored is new
    return stored.label == new.label


def is_mask(text: str) -> bool:
    """Return whether *text* is the content of a masked form field, and so cannot be a secret."""
    return bool(text) and (set(text) == {"*"} or set(text) == {"•"})


def is_secure_url(url: str) -> bool:
    """Return whether *url* is `https`, or `http` to loopback, and has no user, fragment or zone."""
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\@#"):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    # A "%" escapes a character or begins a zone (RFC 6874), and URL parsers disagree about both.
    if not host or "%" in host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


MAX_HOST_LENGTH = 253  # RFC 1035 2.3.4, in its text form
MAX_ADDRESS_LENGTH = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets, less the angle brackets
MAX_LOCAL_PART_LENGTH = 64  # RFC 5321 4.5.3.1.1

# RFC 1123 2.1, and "_", which DNS allows (RFC 2181 11) and internal Windows names contain.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_IN_NAMES = re.compile(r"[A-Za-z0-9._-]")
_WITH_PORT = re.compile(r"^[^:]+:\d+$")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 3.2.3
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")


def require_printable(setting: Setting, text: str) -> None:
    """Refuse control characters, line separators and lone surrogates in any setting."""
    # A line break in a header or command would let a caller add headers or commands (CWE-93).
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise InvalidSetting(setting, "must not contain control characters or line breaks.")


def require_text(setting: Setting, text: str, longest: int) -> None:
    """Refuse an empty text, a text of more than *longest* characters, and control characters."""
    if not text:
        raise InvalidSetting(setting, "must not be empty.")
    if len(text) > longest:
        raise InvalidSetting(setting, f"must not be longer than {longest} characters.")
    require_printable(setting, text)


def require_host(host: str) -> None:
    """Refuse everything but a host name (RFC 1123, in ASCII), an IPv4 address or an IPv6 address.

    The system's resolver reads a name that ends in a number as an IPv4 address in a loose form (127.1, 0x7f.1,
    2130706433), which would bypass address checks; only the form with four numbers is accepted.
    """
    if _is_ip_address(host):
        return
    if (problem := _first_invalid_character(host)) is not None:
        raise InvalidSetting(Setting.HOST, problem)
    if len(host) > MAX_HOST_LENGTH or not _HOST_NAME.fullmatch(host):
        raise InvalidSetting(Setting.HOST, "is not a host name or IP address.")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise InvalidSetting(Setting.HOST, "must be a host name or an IP address in its usual form.")


def _first_invalid_character(host: str) -> str | None:
    """Return the problem with the first invalid character, with its position, because many are invisible."""
    for place, character in enumerate(host, 1):
        if character.isascii() and _IN_NAMES.fullmatch(character):
            continue
        there = f"{_unicode_name(character)} at place {place}"
        if not character.isascii() and character.isalnum():
            return (
                f"has {there}; write an international name in its xn-- form, or the plain letter if one is meant."
            )
        return f"is not a host name or IP address: it has {there}.{_hint(host)}"
    return None


def _unicode_name(character: str) -> str:
    """Return the Unicode name, because the character may be invisible or look like another."""
    return f"{unicodedata.name(character, 'a control character')} (U+{ord(character):04X})"


def _hint(host: str) -> str:
    """Return advice for a URL or a port that was given as part of the host."""
    if "://" in host:
        return " Give the name alone, without a scheme."
    return " Give the port in its own setting." if _WITH_PORT.search(host) else ""


def require_mail_address(setting: Setting, address: str) -> None:
    """Refuse an address that is unsafe in MAIL FROM or RCPT TO: only ASCII, no quoted local part, no literal."""
    match = _ADDRESS.fullmatch(address)
    if match is None or len(address) > MAX_ADDRESS_LENGTH or len(match[1]) > MAX_LOCAL_PART_LENGTH:
        raise InvalidSetting(setting, "is not a plain mail address like name@example.org.")


def normalised_host(host: str) -> str:
    """Return the form in which two spellings of one host are equal: lower case, shortest IPv6.

    A final dot stays: without it a resolver may first append the domains of a search list and find another machine
    (resolv.conf(5), `search` and `ndots`).
    """
    return str(ipaddress.ip_address(host)) if _is_ip_address(host) else host.lower()


def _is_ip_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host) is not None and "%" not in host
    except ValueError:
        return False
