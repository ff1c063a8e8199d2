"""Spellings of the same thing in a request: letters in either case, slashes that add nothing, 25.0 for 25."""

import re
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import unquote

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_ESCAPED_SLASH = re.compile(rb"%2f", re.IGNORECASE)


def ascii_lower(text: str) -> str:
    """*text* with A to Z in lower case.

    `str.lower` also maps other letters to ASCII, such as the Kelvin sign to k: a filter in front of this service
    would see another name than the route.
    """
    return text.translate(_LOWER)


def routable_path(raw_path: bytes) -> str:
    """*raw_path* without percent-encoding, except for encoded slashes, which stay what they are.

    An encoded slash is data inside a segment (RFC 3986 2.2). Decoded, it would separate segments behind the back
    of a proxy that allows or denies paths.
    """
    return unquote(_ESCAPED_SLASH.sub(b"%252F", raw_path).decode("latin-1"))


def segments(path: str) -> list[str]:
    """What is between the slashes of *path*; doubled slashes and a last one add nothing."""
    return [segment for segment in path.split("/") if segment]


def paths_below(prefix: str) -> Callable[[str], str | None]:
    """Make the `match_path` of an API whose paths are *prefix* and all below it, in exactly this case."""
    first = segments(prefix)

    def match_path(path: str) -> str | None:
        found = segments(path)
        return "/" + "/".join(found) if found[: len(first)] == first else None

    return match_path


def integral(value: object) -> object:
    """*value*, as an int if it is a number without a fraction: JSON makes no difference between 25.0 and 25."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
