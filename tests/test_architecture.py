"""The shape of the code, where no linter looks."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from mailsettings import dialects
from mailsettings.dialects import DIALECTS
from mailsettings.web.dialect import Dialect

from support.operations import OPERATIONS, VENDORS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE = 300
_HUMP = re.compile(r"[a-z][A-Z]")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_is_short_and_says_its_purpose(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text))


def folder(dialect: Dialect) -> str:
    return dialect.name.replace("-", "_")


def test_every_folder_of_dialects_is_registered() -> None:
    folders = {module.name for module in pkgutil.iter_modules(dialects.__path__)}

    assert folders == {folder(dialect) for dialect in DIALECTS}


def vendor_words(dialect: Dialect) -> set[str]:
    """The names that only this vendor's wire has: members in camelCase, and where its paths begin."""
    schemas = importlib.import_module(f"{dialects.__name__}.{folder(dialect)}.schemas")
    models = [found for found in vars(schemas).values() if getattr(found, "__module__", "") == schemas.__name__]
    fields = [field for model in models for field in getattr(model, "model_fields", {}).values()]
    paths = [operation.path.split("/") for operation in OPERATIONS if operation.dialect is dialect]
    begins = {part for _, *parts in paths for part in parts[:2]} - {"api", "auth"}
    return begins | {field.alias for field in fields if field.alias and _HUMP.search(field.alias)}


@pytest.mark.parametrize("dialect", VENDORS, ids=lambda dialect: dialect.name)
def test_a_vendors_words_are_in_its_own_folder_only(dialect: Dialect) -> None:
    words = vendor_words(dialect)
    # The line to paste names a path of an API.
    others = [path for path in SOURCES if "dialects" not in path.parts and path.name != "greeting.py"]

    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in others
        for word in words.intersection(re.findall(r"\w+", path.read_text()))
    ]

    assert words
    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-tracing.lock"])
def test_lock_has_a_hash_for_everything_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = [block for block in text.split("\n\n") for block in block.replace("\\\n", " ").splitlines()]

    assert "://" not in text
    assert len(requirements) > 40
    assert [one for one in requirements if one and "--hash=sha256:" not in one] == []
