"""The glossary names things as the code does, and the words that they replaced are gone."""

import io
import keyword
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from mailsettings.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")
][1:]
MAX_ROWS = 40
REPLACED = {
    "denial log": r"turned_?away",
    "webhook sender": r"messenger",
    "event delivery": r"courier",
    "fallback scan": r"second_?(?:look|opinion)|impatient",
    "idempotency key": r"once|earlier|request_?repeated_?differently",
    "revision": r"changed_meanwhile",
    "associated data": r"beside",
    "encryption keys, service keys": r"sealing_?keys?|sealed_?keys?",
    "login throttling": r"guessing|patience",
    "known networks": r"neighbourhoods?",
    "usage": r"shares?",
    "egress guard, middleware": r"\w*gate",
    "chunk": r"in_?pieces|pieces?",
    "listener, emit": r"told|tell",
    "shielded": r"uninterrupted",
    "MAX_, MIN_, _TIMEOUT_SECONDS": r"(?:most|longest|fewest|shortest|highest)_\w+|\w+_at_once(?:_each)?",
    "check result, event, evaluate": r"sighting|news|judge",
    "monitoring": r"watch(?:ed|ing)?|on_?watch",
    "manage": r"keep_(?:accounts|backups|mail_servers|sealing_keys|signing_keys)",
}
"""For each term, the identifiers in `src` that it replaced, in snake case."""
STORED = {
    "sealing_keys": "the table",
    "sealed_keys": "the table",
    "watch": "the audit actor",
    "told": "a column",
}
"""Identifiers that keep an old word, because they name stored data."""


@cache
def identifiers() -> dict[str, Path]:
    """Return every identifier of `src`, with a file that has it."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        found[path.stem] = path
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                found[token.string] = path
    return found


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_")


def test_the_glossary_is_one_page() -> None:
    assert len(ROWS) <= MAX_ROWS
    assert [row for row in ROWS if len(row) != 4] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_name_of_the_glossary_is_in_the_code(row: list[str]) -> None:
    names = re.findall(r"`([^`]+)`", row[2])

    assert names
    assert [name for name in names if name not in identifiers()] == []


def test_every_setting_of_the_glossary_exists() -> None:
    named = {name.lower() for name in re.findall(rf"{PREFIX}(\w+)", PAGE)}

    assert named <= set(Settings.model_fields)


@pytest.mark.parametrize("term", REPLACED)
def test_a_replaced_word_names_nothing_any_more(term: str) -> None:
    old = re.compile(REPLACED[term])
    left = {
        name: path for name, path in identifiers().items() if old.fullmatch(snake(name)) and name not in STORED
    }

    assert not left, "\n".join(f"{path.relative_to(ROOT)}: {name}, say: {term}" for name, path in left.items())
