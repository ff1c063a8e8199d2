"""Texts are in plain English: none of the forms below is in docs, docstrings, comments, errors or help."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_PARTICIPLE = (
    r"\w+ed|told|known|sent|kept|said|left|made|seen|put|given|written|read|shown|there|here|meant|set|done"
)
_WHAT_IS = rf"what (?:is|was|are|were|has been|had been) (?:not |still |already )?(?:{_PARTICIPLE})"
FORMS = {
    r"(?:is|are|was|were|be|been|being|and) had": "say who gets it: “the client gets a token”",
    r"(?:is|are|was|were|be|been|being) told": "say who reports what: “the log reports it”",
    r"tells? of": "reports",
    r"anew": "again, or: a new …",
    r"nobody|no one|somebody|everybody|anybody": "name the actor: the client, the caller, another user",
    r"whoever|whomever|whosever|whose|whosoever": "name the owner in a clause of its own",
    r"of (?:ours|theirs|yours)": "our …, the client's …",
    r"(?:mistake|fault|error)s? of its own": "an error in this service",
    r"lets? (?:it|them|us|him|her|\w+body) in": "accepts, rejects",
    r"takes? it that": "assumes that",
    r"stumbl\w+": "fails",
    r"beside": "next to, in addition to, with",
    r"(?:what|that|which|where) there (?:is|are|was|were)": "existing, or drop it",
    r"(?:what|that|which|who|it) (?:is|are|was|were) none": "is not a …",
    r"there (?:is|was) no way to": "cannot; for networks: no route to",
    r"(?:does|do|did) not want": "refuses, rejects",
    r"as \S+(?: \S+)? has it": "as … specifies",
    r"of before": "earlier, previous",
    r"(?:go|goes|went|gone) on": "continues",
    r"gets? to see": "can read",
    r"(?:is|are|was|were) owed": "must get, is due",
    r"turned away": "rejected (the denial log records it)",
    r"courier|messenger": "event delivery, webhook sender",
    r"second (?:look|opinion)s?": "fallback scan",
    r"neighbourhoods?": "network (known networks)",
    r"seal(?:ing|ed) keys?": "encryption key (key file), or service key (signing, audit)",
    r"at once each": "per client",
    r"the watch|watcher": "monitoring, scheduled checks",
    r"(?:the|this|that|another|which|each|same|old|new|last|first|next) one(?=[.,;:)])": "repeat the noun",
    r"ones|(?:the )?one (?:that|which|who|before|after)": "repeat the noun",
    _WHAT_IS: "the …: “the stored row”",
    r"those who": "users who, callers who",
    r"(?:is|are|was|were) good for": "is valid for",
    r"(?:hang|hangs|hung) up on": "disconnects",
    r"knows? no": "does not know, does not support",
    r"(?:is|are) to be": "must be, will be",
    r"lest|whence|hence|thereof|therein|wherein|whereof|hereby|thereby": "use today's words",
}
"""Each form that is not written here, and what to write instead."""

BANNED = {
    form: re.compile(r"(?<![\w-])(?:" + form.replace(" ", r"\s+") + r")(?![\w-])", re.IGNORECASE) for form in FORMS
}

# Files that still have such forms. The list only shrinks: turn a file into plain English and take it out.
_NOT_YET = """
docs/settings.md


src/mailsettings/settings/identity.py
src/mailsettings/settings/model.py
src/mailsettings/settings/server.py
src/mailsettings/settings/smtp.py
src/mailsettings/settings/storage.py

tests/chaos/__main__.py
tests/chaos/campaign.py
tests/chaos/clients.py
tests/chaos/ledger.py
tests/chaos/reckoning.py
tests/chaos/test_cut_off.py
tests/chaos/test_database_away.py
tests/chaos/test_disk_full.py
tests/chaos/test_on_disk.py
tests/chaos/test_standby.py

tests/fuzz/__main__.py
tests/fuzz/mutations.py
tests/fuzz/target.py

tests/real/test_http_clients.py
tests/real/test_system_calls.py








"""
NOT_YET = frozenset(_NOT_YET.split())

Text = tuple[int, str]
"""The number of a line, and the text that starts there."""


def strings_of(tree: ast.AST) -> Iterator[Text]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings_of(tree: ast.AST) -> Iterator[Text]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from strings_of(node)


def comments_of(source: str) -> Iterator[Text]:
    """Yield each comment; lines of comments that follow each other are one text."""
    start, text, last = 0, "", -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if line != last + 1:
                yield start, text
                start, text = line, ""
            text, last = f"{text}\n{token.string.lstrip('# ')}".lstrip("\n"), line
    yield start, text


def prose_of(markdown: str) -> str:
    """Return *markdown* with code and addresses as blanks, so that each line keeps its number."""
    code = r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]*`|\]\([^)\s]*\)"
    blank = lambda found: re.sub(r"[^\n]", " ", found[0])  # noqa: E731
    return re.sub(code, blank, markdown, flags=re.MULTILINE | re.DOTALL)


def texts_of(path: Path) -> Iterator[Text]:
    source = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(source)
        yield from strings_of(tree) if path.is_relative_to(ROOT / "src") else docstrings_of(tree)
        yield from comments_of(source)
    elif path.suffix == ".md":
        yield 1, prose_of(source)
    else:
        yield 1, source


def findings_in(path: Path) -> Iterator[str]:
    """Yield each banned form of a file: where it is, and what to write instead."""
    for start, text in texts_of(path):
        for form, pattern in BANNED.items():
            for found in pattern.finditer(text):
                line = start + text.count("\n", 0, found.start())
                words = " ".join(found[0].split())
                yield f"{path.relative_to(ROOT)}:{line}: “{words}”. Instead: {FORMS[form]}"


@cache
def files() -> tuple[Path, ...]:
    """Return every file with texts of this project, in order."""
    folders = ("src", "tests", "scripts", "benchmarks", "alembic", "deploy", "docs")
    below = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    top = (
        ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "docker-compose.yml")
    )
    return tuple(
        sorted(
            path
            for path in (*below, *top)
            if path.suffix in {".py", ".md", ".yaml", ".yml", ""} and path.is_file()
        )
    )


def is_turned(path: Path) -> bool:
    return str(path.relative_to(ROOT)) not in NOT_YET


@pytest.mark.parametrize(
    "path", [path for path in files() if is_turned(path)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_file_is_in_plain_english(path: Path) -> None:
    found = list(findings_in(path))

    assert not found, "\n" + "\n".join(found)


def test_no_file_in_plain_english_is_still_excepted() -> None:
    excepted = {path for path in files() if not is_turned(path)}

    assert [str(path.relative_to(ROOT)) for path in excepted if not list(findings_in(path))] == []
