"""Parse unambiguous JSON (RFC 8259 within the limits of RFC 7493) of bounded depth.

Python's own parser accepts duplicate keys, NaN, infinite numbers and lone surrogates. Further in, each of them
leads to a wrong value or to a response that cannot be encoded.
"""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator
from typing import NoReturn

from mailsettings.web.normalization import ascii_lower
from mailsettings.web.request_errors import MalformedBody

MAX_DEPTH = 16


def parse(body: bytes, members: Collection[str] = ()) -> object:
    """Return the value in *body*; a byte order mark is ignored (RFC 8259 8.1). Raises `MalformedBody`.

    The error names the member if all parts of its path are in *members*, in any case, and never repeats a value.
    """
    try:
        value = json.loads(
            body.removeprefix(BOM_UTF8).decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite_number,
        )
    except UnicodeDecodeError:
        raise MalformedBody("The body must be encoded as UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # JSONDecodeError, and integers of thousands of digits
        raise MalformedBody("The body is not valid JSON.") from None
    for path, text in _texts(value, (), 1):
        _require_sound(path, text, members)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):  # RFC 7493 2.3: names are unique; RFC 8259 4 leaves the meaning open
        raise MalformedBody("An object in the body has the same member twice.")
    return members


def _refuse_constant(_name: str) -> NoReturn:
    # RFC 8259 6: "Infinity and NaN are not permitted", but Python's parser accepts both.
    raise MalformedBody("The body is not valid JSON: NaN and Infinity are not numbers in it.")


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedBody("The body has a number that is too large.")
    return number


def _texts(value: object, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every string in *value*, keys included, with the path of its member."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:  # a limit that RFC 8259 9 allows; no request here needs more than four levels
            raise _too_deep()
        if isinstance(value, dict):
            for key, member in value.items():
                yield path, key
                yield from _texts(member, (*path, key), depth + 1)
        else:
            for member in value:
                yield from _texts(member, path, depth + 1)


def _require_sound(path: tuple[str, ...], text: str, members: Collection[str]) -> None:
    known = path and all(ascii_lower(part) in members for part in path)
    where = f"{'.'.join(path)} has" if known else "The body has a member with"
    if "\0" in text:  # PostgreSQL cannot store it, and C libraries end strings there
        raise MalformedBody(f"{where} a NUL character in it.")
    # A lone surrogate has no UTF-8 form (RFC 7493 2.1), so it could be neither stored nor sent back.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedBody(f"{where} half of a surrogate pair in it.")


def _too_deep() -> MalformedBody:
    return MalformedBody(f"The body must not be nested deeper than {MAX_DEPTH} levels.")
