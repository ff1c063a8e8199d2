"""The search for a canary finds what it is for; without these tests a blind one would let everything pass."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest

from support.canary import Canary, Leaked

pytest_plugins = ["pytester"]

DISGUISES: dict[str, Callable[[str], str | bytes]] = {
    "as it is": lambda secret: f"password={secret};",
    "in bytes": lambda secret: b"\xff\xfe" + secret.encode() + b"\0",
    **{
        f"base64 after {shift} bytes": lambda secret, shift=shift: base64.b64encode(  # type: ignore[misc]  # mypy does not infer defaults of lambdas
            b"u" * shift + secret.encode() + b"\r\n"
        )
        for shift in range(7)
    },
    **{
        f"URL-safe base64 after {shift} bytes": lambda secret, shift=shift: base64.urlsafe_b64encode(  # type: ignore[misc]  # as above
            b"\xff" * shift + secret.encode()
        )
        for shift in range(3)
    },
    "as SASL PLAIN": lambda secret: base64.b64encode(f"\0user\0{secret}".encode()),
    "quoted in a path": lambda secret: f"/a/{quote(secret)}",
    "quoted wholly": lambda secret: quote(secret, safe=""),
    "quoted in lower case": lambda secret: quote(secret, safe="").lower(),
    "in a query": lambda secret: urlencode({"password": secret}),
    "in a form": lambda secret: quote_plus(secret),
    "every byte escaped": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "in JSON": lambda secret: json.dumps({"password": secret}),
    "in JSON of UTF-8": lambda secret: json.dumps({"password": secret}, ensure_ascii=False),
    "in JSON with escaped slashes": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in JSON in JSON": lambda secret: json.dumps(json.dumps({"password": secret})),
    "as a repr": lambda secret: repr([secret]),
    "as an ASCII repr": lambda secret: ascii([secret]),
    "as a repr of bytes": lambda secret: repr(secret.encode()),
    "in Latin-1": lambda secret: secret.encode("latin-1"),
    "in hexadecimal": lambda secret: binascii.hexlify(secret.encode()),
    "in capital hexadecimal": lambda secret: secret.encode().hex().upper(),
    "in a dump": lambda secret: secret.encode().hex(" "),
    "in UTF-16": lambda secret: secret.encode("utf-16"),
    "in big-endian UTF-16": lambda secret: b"x" + secret.encode("utf-16-be"),
    "backwards": lambda secret: secret[::-1],
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "awkward"])
def test_a_canary_is_found_in_every_disguise(disguise: str, plain: bool) -> None:
    planted = Canary(plain=plain)

    with pytest.raises(Leaked):
        planted.assert_nowhere("nothing here", DISGUISES[disguise](planted.secret))


@pytest.mark.parametrize("disguise", DISGUISES)
def test_another_canary_is_not_taken_for_it(disguise: str) -> None:
    Canary().assert_nowhere(DISGUISES[disguise](Canary().secret), "", b"", "\ud800")


def test_the_message_names_place_and_form_without_the_secret(tmp_path: Path) -> None:
    planted = Canary()
    (tmp_path / "a.log").write_bytes(base64.b64encode(planted.secret.encode()))

    with pytest.raises(Leaked, match=r"a\.log: base64$") as found:
        planted.assert_nowhere(tmp_path)

    assert planted.found_in(str(found.value)) == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".backup"])
def test_beside_a_database_its_companions_are_searched(tmp_path: Path, suffix: str) -> None:
    planted, database = Canary(), tmp_path / "some.db"
    database.write_bytes(b"SQLite format 3\0")
    planted.assert_nowhere(database)
    (tmp_path / f"some.db{suffix}").write_bytes(b"\0" + planted.secret.encode())

    with pytest.raises(Leaked):
        planted.assert_nowhere(database)


def test_a_directory_is_searched_to_its_depth(tmp_path: Path) -> None:
    planted = Canary()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "core").write_text(planted.secret)

    with pytest.raises(Leaked):
        planted.assert_nowhere(tmp_path)


def test_a_real_database_that_holds_it_is_found_out(tmp_path: Path) -> None:
    planted, file = Canary(), tmp_path / "some.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", (planted.secret,))
    connection.close()

    with pytest.raises(Leaked):
        planted.assert_nowhere(file)


def test_a_missing_place_is_not_a_clean_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Canary().assert_nowhere(tmp_path / "misspelled.db")


LEAKS = {
    "in the message": "logging.getLogger('x').debug('it is ' + canary.secret)",
    "in an argument": "logging.getLogger('x').info('it is %r', {'password': canary.secret})",
    "in an extra member": "logging.getLogger('x').warning('it', extra={'body': canary.secret.encode()})",
    "in a traceback": "try: raise ValueError(canary.secret)\n    except ValueError: logging.exception('it')",
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_test_that_logs_its_canary_does_not_pass(pytester: pytest.Pytester, how: str) -> None:
    plugin = "import logging\npytest_plugins = ['support.canary']\n"
    pytester.makepyfile(f"{plugin}def test_it(canary):\n    {LEAKS[how]}\n")

    pytester.runpytest("-p", "no:asyncio").assert_outcomes(passed=1, errors=1)


def test_a_test_that_logs_something_else_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import logging\npytest_plugins = ['support.canary']\n"
        "def test_it(canary):\n    logging.warning('all is well with %d', len(canary.secret))\n"
    )

    pytester.runpytest("-p", "no:asyncio").assert_outcomes(passed=1)
