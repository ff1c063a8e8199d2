"""The shape of the code, where no linter looks."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import mailsettings.dialects
from mailsettings.dialects import DIALECTS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE = 300


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text))


def test_every_folder_of_dialects_is_registered() -> None:
    folders = {module.name for module in pkgutil.iter_modules(mailsettings.dialects.__path__)}

    assert folders == {dialect.name.replace("-", "_") for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_vendors_words_are_in_its_own_folder_only(dialect: object) -> None:
    name = dialect.name.replace("-", "_")  # type: ignore[attr-defined]  # a Dialect, by the list it is from
    importlib.import_module(f"mailsettings.dialects.{name}")
    words = {"checkmarx": ["encryptionType", "cxrestapi"], "oracle_analytics": ["authType", "20210901"]}[name]
    allowed = (f"dialects/{name}/", "cli/first_start.py")  # the line to paste names a path of an API

    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in SOURCES
        for word in words
        if word in path.read_text() and not any(part in str(path) for part in allowed)
    ]

    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_a_hash_for_everything_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = [block for block in text.split("\n\n") for block in block.replace("\\\n", " ").splitlines()]

    assert "://" not in text
    assert len(requirements) > 40
    assert [one for one in requirements if one and "--hash=sha256:" not in one] == []
