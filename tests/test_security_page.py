"""The page about security: the tests that it names exist, its figures are the code's, no case is forgotten."""

import ast
import re
from collections.abc import Iterator
from functools import cache, reduce
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import SecretStr

from mailsettings.settings import PREFIX, Settings

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
CASES = set(range(1, 41))
UNITS = {"": 1, "seconds": 1, "minutes": 60, "hours": 3600, "KiB": 1024}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def docstrings_of(file: Path) -> dict[str, str]:
    """Each test in *file* with its docstring."""
    found = ast.parse(file.read_text()).body
    tests = [node for node in found if isinstance(node, Function) and node.name.startswith("test_")]
    return {test.name: ast.get_docstring(test) or "" for test in tests}


def rows(between: str, and_: str) -> list[list[str]]:
    """The cells of each row of the tables there, without the heads."""
    lines = [line for line in PAGE.partition(between)[2].partition(and_)[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


PROMISES = rows("<!-- promises -->", "<!-- /promises -->")
DEFAULTS = rows("## Defaults", "## Advice")


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0])
def test_every_promise_names_tests_that_exist(row: list[str]) -> None:
    named = re.findall(r"`([^`]+)::([^`]+)`", row[1])

    assert named
    assert row[1] == " ".join(f"`{file}::{name}`" for file, name in named)
    for file, name in named:
        assert name in docstrings_of(TESTS / file)


def cases_in(docstring: str) -> Iterator[int]:
    for numbers in re.findall(r"\bCases? (\d+(?:(?:, | and )\d+)*)", docstring):
        yield from map(int, re.findall(r"\d+", numbers))


def test_every_case_of_abuse_is_named_by_a_test() -> None:
    files = TESTS.rglob("test_*.py")
    named = {case for file in files for text in docstrings_of(file).values() for case in cases_in(text)}

    assert named == CASES


def in_force(place: str) -> str:
    """A figure of the code as a number, or the default of a setting as docs/settings.md writes it."""
    if place.startswith(PREFIX):
        value = Settings.model_fields[place.removeprefix(PREFIX).lower()].default
    else:
        file, _, name = place.partition("::")
        module = import_module("mailsettings." + file.removesuffix(".py").replace("/", "."))
        value = reduce(getattr, name.split("."), module) if name else None
    assert not isinstance(value, SecretStr)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


@pytest.mark.parametrize("row", DEFAULTS, ids=lambda row: row[0])
def test_every_default_is_that_of_the_code(row: list[str]) -> None:
    _, default, places = row
    for place in re.findall(rf"`({PREFIX}[A-Z_]+|[a-z_/]+\.py(?:::[\w.]+)?)`", places):
        value = in_force(place)
        number = re.fullmatch(r"(\d+) ?(\w*)", default)
        if number:
            assert value == str(int(number[1]) * UNITS[number[2]])
        elif default.startswith("`"):
            assert value == default.strip("`")
        else:
            assert value in {"", "none"}  # which the page says in words


def test_every_setting_that_is_named_exists() -> None:
    names = set(re.findall(rf"{PREFIX}(\w+)", PAGE))

    assert {name.lower() for name in names} <= set(Settings.model_fields)
