"""A secret that is looked for afterwards, everywhere, in every form in which it could have got out.

A plain search misses encoded text: base64 of a longer text holds none of base64's own of the
secret, an URL and a JSON string spell some characters otherwise, and a debugger's output is hexadecimal.
"""

import base64
import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

Place = str | bytes | Path

_AWKWARD = ' "\\/+é'
"""Characters that every encoding spells otherwise, so that none of the forms are the same by chance."""


def forms(secret: str) -> dict[str, frozenset[bytes]]:
    """Every spelling of *secret* by its name; in bytes, in each case that matters."""
    raw = secret.encode()
    return {
        "raw": frozenset({raw, secret.encode("latin-1", "ignore")}),
        "base64": frozenset(_base64(raw)),
        "URL-escaped": frozenset(_url_escaped(secret)),
        "JSON-escaped": frozenset(_json_escaped(secret)),
        "Python literal": frozenset(
            {repr(secret)[1:-1].encode(), ascii(secret)[1:-1].encode(), repr(raw)[2:-1].encode()}
        ),
        "hexadecimal": frozenset({raw.hex().encode(), raw.hex().upper().encode(), raw.hex(" ").encode()}),
        "UTF-16": frozenset({secret.encode("utf-16-le"), secret.encode("utf-16-be")}),
        "reversed": frozenset({secret[::-1].encode()}),
    }


def _base64(raw: bytes) -> Iterator[bytes]:
    """At each alignment, without the first and last characters, which the neighbours have a part in."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        first = -(-shift * 8 // 6)
        whole = (shift + len(raw)) * 8 // 6
        yield encoded[first:whole]
        yield encoded[first:whole].translate(bytes.maketrans(b"+/", b"-_"))


def _url_escaped(secret: str) -> Iterator[bytes]:
    for escaped in (quote(secret), quote(secret, safe=""), quote_plus(secret), quote_plus(secret, safe="/")):
        yield escaped.encode()
        yield escaped.lower().encode()
    yield "".join(f"%{byte:02x}" for byte in secret.encode()).encode()
    yield "".join(f"%{byte:02X}" for byte in secret.encode()).encode()


def _json_escaped(secret: str) -> Iterator[bytes]:
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield escaped.encode()
        yield escaped.replace("/", "\\/").encode()
        yield json.dumps(escaped)[1:-1].encode()  # JSON inside a JSON string, as in a log


class Leaked(AssertionError):
    """A canary was found; the message says where and how it was spelled."""


class Canary:
    """A fresh secret, awkward for encodings unless told to be *plain*, and the search for it.

    *made* is a secret that the program has made.
    """

    def __init__(self, *, plain: bool = False, made: str = "") -> None:
        self.secret = made or f"CANARY-{uuid.uuid4().hex}" + ("" if plain else _AWKWARD)
        self._forms = forms(self.secret)

    def __str__(self) -> str:
        return self.secret

    def found_in(self, content: str | bytes) -> list[str]:
        """The names of the forms in which *content* holds the secret."""
        searched = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        return [name for name, spellings in self._forms.items() if any(form in searched for form in spellings)]

    def assert_nowhere(self, *places: Place) -> None:
        """Raise `Leaked` if one of *places* has it: a text, bytes, or a path.

        For a file, SQLite's journals are searched too; for a directory, every file below it.
        """
        for place in places:
            if isinstance(place, Path):
                for file in _files(place):
                    self._look(file.read_bytes(), str(file))
            else:
                self._look(place, "a text")

    def _look(self, content: str | bytes, where: str) -> None:
        if found := self.found_in(content):
            raise Leaked(f"the canary is in {where}: {', '.join(found)}")


def _files(place: Path) -> list[Path]:
    """Return all files of *place*. Raises `FileNotFoundError` if nothing exists to search."""
    if place.is_dir():
        return [path for path in sorted(place.rglob("*")) if path.is_file()]
    if not place.exists():
        raise FileNotFoundError(place)
    return sorted(place.parent.glob(f"{place.name}*"))


def text_of(record: logging.LogRecord) -> str:
    """All that any handler could write of *record*: its message, arguments, traceback and extra members."""
    formatted = logging.Formatter().format(record)
    return "\n".join([formatted, *(repr(value) for value in vars(record).values())])


@pytest.fixture
def canary(caplog: pytest.LogCaptureFixture) -> Iterator[Canary]:
    """A fresh secret that is in no record of the log when the test ends, whatever its level."""
    caplog.set_level(logging.DEBUG)
    planted = Canary()
    yield planted
    records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    planted.assert_nowhere(*(text_of(record) for record in records))
