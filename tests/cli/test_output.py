"""The forms of the output: tables for people; JSON, YAML and CSV for programs."""

import csv
import io
import json
from collections.abc import Sequence

import click
import pytest
import yaml
from click.testing import CliRunner

from mailsettings.cli.command import Command, Root
from mailsettings.cli.output import Column, Item, print_item, print_items

COLUMNS = [Column("name"), Column("port"), Column("default")]
PAGES: Sequence[Sequence[Item]] = [
    [{"name": "relay", "port": 587, "default": True}],
    [{"name": "none", "port": None, "default": False}],
]


def printed(
    *arguments: str,
    pages: Sequence[Sequence[Item]] = PAGES,
    columns: Sequence[Column] = COLUMNS,
    color: bool = False,
    **environment: str,
) -> str:
    """What the command of this test prints with *arguments*."""
    root = Root("root", places={})

    @root.command("list", cls=Command)
    def list_() -> None:
        print_items(pages, columns)

    @root.command(cls=Command)
    def show() -> None:
        print_item(pages[0][0], COLUMNS)

    ran = CliRunner().invoke(root, list(arguments), env=environment, color=color)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_table_has_aligned_columns_with_headers() -> None:
    assert printed("list") == "NAME   PORT  DEFAULT\nrelay  587   yes\nnone   -     no\n"
    assert printed("show") == "name     relay\nport     587\ndefault  yes\n"


def test_a_table_leaves_out_a_column_of_usual_values() -> None:
    columns = [Column("name"), Column("default", usual="no")]
    usual: list[Item] = [{"name": "relay", "default": False}]
    unusual: list[Item] = [{"name": "relay", "default": True}]

    assert printed("list", pages=[usual], columns=columns) == "NAME\nrelay\n"
    assert printed("list", pages=[usual + unusual], columns=columns).startswith("NAME   DEFAULT\n")
    assert printed("list", pages=[usual, unusual], columns=columns).startswith("NAME   DEFAULT\n")
    assert printed("list", "-o", "csv", pages=[usual], columns=columns) == "name,default\nrelay,no\n"


def test_times_for_people_have_whole_seconds() -> None:
    pages: list[list[Item]] = [[{"name": "2026-01-02T03:04:05.678901Z"}]]

    assert "2026-01-02T03:04:05Z " in printed("list", pages=pages)
    assert "05.678901Z" in printed("list", "-o", "csv", pages=pages)


def test_json_has_the_members_of_the_api() -> None:
    assert json.loads(printed("list", "-o", "json")) == [*PAGES[0], *PAGES[1]]
    assert json.loads(printed("show", "-o", "json")) == PAGES[0][0]
    assert printed("list", "-o", "json", pages=[[]]) == "[]\n"


def test_yaml_keeps_every_value_and_type() -> None:
    tricky = [[{"name": value, "port": 1} for value in ("no", "0123", "1:30", "a: b", "ü\n# x", "=", "~", "- x")]]

    assert yaml.safe_load(printed("list", "-o", "yaml", pages=tricky)) == tricky[0]
    assert yaml.safe_load(printed("list", "-o", "yaml")) == [*PAGES[0], *PAGES[1]]
    assert yaml.safe_load(printed("list", "-o", "yaml", pages=[[]])) == []


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20SUM(A1)"]
)
def test_csv_has_no_formula_for_a_spreadsheet(formula: str) -> None:
    """OWASP, "CSV Injection"."""
    text = printed("list", "-o", "csv", pages=[[{"name": formula, "port": -1, "default": None}]])
    head, row = csv.reader(io.StringIO(text, newline=""))

    assert head == ["name", "port", "default"]
    assert row == [f"'{formula}", "-1", ""]


def test_the_form_can_be_chosen_before_and_after_the_command() -> None:
    as_json = printed("list", "-o", "json")

    assert printed("--output", "json", "list") == as_json
    assert printed("list", MAILSETTINGS_OUTPUT="json") == as_json
    assert printed("-o", "yaml", "list", "-o", "json", MAILSETTINGS_OUTPUT="csv") == as_json


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv"])
def test_no_form_lets_a_name_control_the_terminal(form: str) -> None:
    text = printed("list", "-o", form, pages=[[{"name": "a\x1b[2J\x9b2J\u202eb", "port": 1}]])

    assert not {"\x1b", "\x9b"} & set(text)


def test_yaml_reverses_no_direction_of_writing() -> None:
    pages = [[{"name": "a\u202egnp.exe\u2028b", "port": 1, "default": None}]]
    text = printed("list", "-o", "yaml", pages=pages)

    assert "\u202e" not in text
    assert yaml.safe_load(text) == pages[0]


def test_colours_are_for_a_terminal_without_no_color() -> None:
    plain = printed("list")

    assert click.unstyle(printed("list", color=True)) == plain != printed("list", color=True)
    assert printed("list", color=True, NO_COLOR="1") == plain
