"""How mail servers are named and described: the rules for names, descriptions and labels.

A name is a slug with a letter, so that a path or a command can have either a name or an id. A mail server that was
stored without a name gets one derived from its host.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping

from mailsettings.domain.errors import InvalidSetting, MailServerNotFound
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import require_printable

MailServerRef = int | str
"""What a caller addresses a mail server by: its id or its name."""

MAX_ID = 2**31 - 1
"""The largest id that every database can store."""

# A name has the form of a label of DNS (RFC 1123 2.1).
MAX_SERVER_NAME_LENGTH = 63
MAX_DESCRIPTION_LENGTH = 500
MAX_LABELS = 20
MAX_LABEL_VALUE_LENGTH = 63
SERVER_NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
LABEL_KEY = r"[a-z0-9][a-z0-9._/-]{0,62}"
RESERVED_NAMES = frozenset(
    {
        *("all", "default", "disable", "enable", "new", "none", "restore"),
        *("secret-expiry", "self", "server", "test", "tests", "versions"),
    }
)
"""Words that paths and commands use in the place of a name."""

_ID = re.compile(r"[0-9]+")
_NAME = re.compile(SERVER_NAME)
_KEY = re.compile(LABEL_KEY)
_OF_ID = re.compile(r"server-([0-9]+)")
_RESERVED = "is a reserved word; choose another name."
_SUFFIXES = range(2, 10)
_MAX_SUFFIX_LENGTH = len("-2147483647")


def is_slug(text: str) -> bool:
    """Return whether *text* has the form of an id or a name."""
    return len(text) <= MAX_SERVER_NAME_LENGTH and _NAME.fullmatch(text) is not None


def mail_server_ref(text: str) -> MailServerRef:
    """Return the id or the name in *text*. Raises `MailServerNotFound` for any other text."""
    if not is_slug(text) or (_ID.fullmatch(text) and int(text) > MAX_ID):
        raise MailServerNotFound
    return int(text) if _ID.fullmatch(text) else text


def name_of_id(server_id: int) -> str:
    """Return the name of a mail server that has none yet; it is reserved for this id."""
    return f"server-{server_id}"


def id_in_name(name: str) -> int | None:
    """Return the id that *name* is reserved for; None for a name that a caller chose."""
    found = _OF_ID.fullmatch(name)
    return int(found[1]) if found and name_of_id(int(found[1])) == name else None


def require_server_name(name: str, server_id: int | None) -> None:
    """Refuse anything but a name that the mail server *server_id* may have; None for a new mail server."""
    require_name(name)
    if _OF_ID.fullmatch(name) and id_in_name(name) != server_id:
        raise InvalidSetting(Setting.NAME, _RESERVED)


def require_name(name: str) -> None:
    """Refuse anything but a slug that is neither an id nor a reserved word."""
    if not is_slug(name):
        raise InvalidSetting(
            Setting.NAME,
            f"must be 1 to {MAX_SERVER_NAME_LENGTH} lower-case letters, digits and hyphens, without a hyphen at "
            "either end.",
        )
    if not any(character.isalpha() for character in name):
        raise InvalidSetting(Setting.NAME, "must have a letter, so that it is not an id.")
    if name in RESERVED_NAMES:
        raise InvalidSetting(Setting.NAME, _RESERVED)


def require_description(text: str) -> None:
    """Refuse a description that is too long or has control characters other than line feeds."""
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise InvalidSetting(Setting.DESCRIPTION, f"must not be longer than {MAX_DESCRIPTION_LENGTH} characters.")
    for line in text.split("\n"):
        require_printable(Setting.DESCRIPTION, line)


def require_labels(labels: Mapping[str, str]) -> None:
    """Refuse too many labels, malformed keys, and values that are too long or unprintable."""
    if len(labels) > MAX_LABELS:
        raise InvalidSetting(Setting.LABELS, f"must not be more than {MAX_LABELS}.")
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise InvalidSetting(
                Setting.LABELS,
                "must have keys of 1 to 63 lower-case letters, digits and . _ / -, which begin with a letter or "
                "digit.",
            )
        if len(value) > MAX_LABEL_VALUE_LENGTH:
            raise InvalidSetting(
                Setting.LABELS, f"must not have values of more than {MAX_LABEL_VALUE_LENGTH} characters."
            )
        require_printable(Setting.LABELS, value)


def name_from_host(host: str) -> str:
    """Return the name that a mail server of *host* gets: `smtp-example-com`; it may be taken.

    The letters of an IPv6 address say nothing, so an address gives `server-192-0-2-7`.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:MAX_SERVER_NAME_LENGTH].rstrip("-")
    if _is_address(host) or not re.search("[a-z]", slug):
        slug = f"server-{slug}"[:MAX_SERVER_NAME_LENGTH].rstrip("-")
    return f"mail-{slug}"[:MAX_SERVER_NAME_LENGTH] if slug in RESERVED_NAMES or _OF_ID.fullmatch(slug) else slug


def names_to_try(wanted: str, server_id: int) -> Iterator[str]:
    """Yield *wanted* and what takes its place where that is taken; the last is free in any case."""
    yield wanted
    stem = wanted[: MAX_SERVER_NAME_LENGTH - _MAX_SUFFIX_LENGTH].rstrip("-")
    for number in (*_SUFFIXES, server_id):
        yield f"{stem}-{number}"
    yield name_of_id(server_id)


def _is_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host) is not None
    except ValueError:
        return False
