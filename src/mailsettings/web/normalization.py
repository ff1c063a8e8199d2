"""Normalize equivalent spellings in a request: case of letters, redundant slashes, 25.0 for 25."""

import re
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import unquote

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_ESCAPED_SLASH = re.compile(rb"%2f", re.IGNORECASE)


def ascii_lower(text: str) -> str:
    """Return *text* with A to Z in lower case.

    `str.lower` also maps other letters to ASCII, such as the Kelvin sign to k, so a filter in front of this
    service and the route would compare different names.
    """
    return text.translate(_LOWER)


def routable_path(raw_path: bytes) -> str:
    """Return *raw_path* without percent-encoding, except for encoded slashes, which stay encoded.

    An encoded slash is data inside a segment (RFC 3986 2.2). Decoded, it would separate segments that a proxy with
    rules for paths saw as one.
    """
    # %252F decodes to %2F: the slash stays encoded while everything else is decoded once.
    return unquote(_ESCAPED_SLASH.sub(b"%252F", raw_path).decode("latin-1"))


def segments(path: str) -> list[str]:
    """Return the segments of *path*; doubled and trailing slashes add no segment."""
    return [segment for segment in path.split("/") if segment]


def paths_below(prefix: str) -> Callable[[str], str | None]:
    """Return the `match_path` of an API that has *prefix* and all paths below it, case-sensitive."""
    first = segments(prefix)

    def match_path(path: str) -> str | None:
        found = segments(path)
        return "/" + "/".join(found) if found[: len(first)] == first else None

    return match_path


def integral(value: object) -> object:
    """Return *value* as an int if it is a float without a fraction: in JSON 25.0 and 25 are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
