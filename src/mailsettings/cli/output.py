"""Print answers of the API as a table, JSON, YAML or CSV."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import click

from mailsettings.cli.command import chosen

Item = Mapping[str, Any]
"""One object of an answer."""
_GAP = "  "
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Also the full-width forms, which spreadsheets with Japanese settings obey."""
_FRACTION = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.\d+(?=Z)")
"""The fraction of a second in a time of RFC 3339, section 5.6."""


class Column:
    """A column: its name, and its value in an item; by default the member of that name.

    A table leaves the column out if every row has the text *usual*.
    """

    def __init__(
        self, name: str, value: Callable[[Item], object] | None = None, *, usual: str | None = None
    ) -> None:
        self.name = name
        self.usual = usual
        self.value = value or (lambda item: item.get(name))

    def text(self, item: Item) -> str:
        """Return the value as text for people; an absent value is empty, and times have whole seconds."""
        return _FRACTION.sub("", said(self.value(item)))


def said(value: object) -> str:
    """Return a value as people read it: yes and no, lists with spaces, objects as name=value."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return " ".join(f"{name}={said(member)}" if member != "" else name for name, member in value.items())
        case list() | tuple():
            return " ".join(map(said, value))
        case _:
            return str(value)


def print_items(pages: Iterable[Sequence[Item]], columns: Sequence[Column], expected: Sequence[Item] = ()) -> None:
    """Print a list, page by page as they come.

    The widths of a table are those of its first page and of *expected*, items that may come later.
    """
    match output_format():
        case "json":
            _print_json_array(chain.from_iterable(pages))
        case "yaml":
            _print_yaml_list(chain.from_iterable(pages))
        case "csv":
            _print_csv(chain.from_iterable(pages), columns)
        case _:
            _print_table(pages, columns, expected)


def print_item(item: Item, lines: Sequence[Column]) -> None:
    """Print one object; as a table, a line for each column that has a value."""
    match output_format():
        case "json":
            click.echo(as_json(item))
        case "yaml":
            click.echo(_as_yaml(item), nl=False)
        case "csv":
            _print_csv([item], lines)
        case _:
            width = max(len(line.name) for line in lines)
            for line in lines:
                if text := line.text(item):
                    name = click.style(f"{_title(line.name):<{width}}", bold=True)
                    value = printable(text, keep="\n")
                    click.echo(f"{name}{_GAP}{_indented(value, width + len(_GAP))}")


def print_document(document: object, form: str) -> None:
    """Print *document* as JSON or YAML, whatever the output of lists is."""
    click.echo(as_json(document) if form == "json" else _as_yaml(document), nl=form == "json")


def is_for_people() -> bool:
    """Return whether the output is text for people, and not data for programs."""
    return output_format() == "table"


def output_format() -> str:
    """Return the chosen form of the output."""
    return chosen("output") or "table"


def printable(text: str, *, keep: str = "") -> str:
    """Return *text* with escaped control characters: names come from outside and could move a cursor."""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def as_json(value: object) -> str:
    """Return *value* as indented JSON; characters that a terminal could obey are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _print_json_array(items: Iterable[Item]) -> None:
    begin = "["
    for item in items:
        click.echo(f"{begin}\n  {_indented(as_json(item), 2)}", nl=False)
        begin = ","
    click.echo("[]" if begin == "[" else "\n]")


def _print_yaml_list(items: Iterable[Item]) -> None:
    is_empty = True
    for item in items:
        click.echo(_as_yaml([item]), nl=False)
        is_empty = False
    if is_empty:
        click.echo("[]")


def _as_yaml(value: object) -> str:
    import yaml

    # Without a limit of the width: a folded text would not be what diff and grep look for.
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000)
    if printable(text, keep="\n") == text:
        return text
    # Some characters that a terminal obeys are left, such as those that reverse the direction of writing.
    escaped: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=1_000_000)
    return escaped


def _print_csv(items: Iterable[Item], columns: Sequence[Column]) -> None:
    writer = csv.writer(_Echo())
    writer.writerow([column.name for column in columns])
    writer.writerows([_cell(column.value(item)) for column in columns] for item in items)


def _cell(value: object) -> str:
    """Return *value* so that a spreadsheet does not run it as a formula (OWASP, "CSV Injection")."""
    text = printable(said(value), keep="\t\r\n")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not isinstance(value, int | float) else text


class _Echo(io.TextIOBase):
    """A file for `csv` that writes to the standard output of the command."""

    def write(self, text: str) -> int:
        click.echo(text, nl=False)
        return len(text)


def _print_table(pages: Iterable[Sequence[Item]], columns: Sequence[Column], expected: Sequence[Item]) -> None:
    if not expected:
        columns, pages = _telling(columns, iter(pages))
    head = [_title(column.name).upper() for column in columns]
    widths: list[int] = []
    for page in chain([expected], pages) if expected else pages:
        rows = [[printable(column.text(item)) or "-" for column in columns] for item in page]
        if not widths:
            widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
            click.echo(click.style(_aligned(head, widths), bold=True))
        if page is not expected:
            for row in rows:
                click.echo(_aligned(row, widths))


def _telling(
    columns: Sequence[Column], pages: Iterator[Sequence[Item]]
) -> tuple[Sequence[Column], Iterable[Sequence[Item]]]:
    """Return the columns that tell rows apart, and the pages.

    A list of several pages has all columns, because a later page could have an unusual value.
    """
    begin = list(islice(pages, 2))
    if len(begin) > 1:
        return columns, chain(begin, pages)
    items = [item for page in begin for item in page]
    kept = [each for each in columns if each.usual is None or any(each.text(item) != each.usual for item in items)]
    return kept, begin


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _indented(text: str, width: int) -> str:
    return text.replace("\n", f"\n{' ' * width}")


def _title(name: str) -> str:
    return name.replace("_", " ")
