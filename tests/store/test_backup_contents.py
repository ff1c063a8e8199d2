"""What a backup holds: every table or a reason, and every value as it was."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Interval, LargeBinary, MetaData, Table

from mailsettings.store.backup.contents import BACKED_UP, LEFT_OUT, RowFormat, identity_column, parse_preface
from mailsettings.store.tables import mail_servers, metadata


def test_every_table_is_backed_up_or_has_a_reason() -> None:
    assert {*BACKED_UP, *LEFT_OUT} == {*metadata.sorted_tables}
    assert len(BACKED_UP) + len(LEFT_OUT) == len(metadata.sorted_tables)
    assert all(
        reason.startswith(("of the moment: ", "the program's: ", "the key file's: "))
        for reason in LEFT_OUT.values()
    )


@pytest.mark.parametrize("table", BACKED_UP, ids=lambda table: table.name)
def test_every_column_has_a_format_one_number_per_table(table: Table) -> None:
    assert RowFormat(table).columns == [column.name for column in table.columns]
    assert len([column for column in table.columns if column.identity]) <= 1
    assert (identity_column(table) is None) == (not table.dialect_kwargs.get("sqlite_autoincrement"))


def test_a_column_of_an_unknown_type_is_not_skipped() -> None:
    with pytest.raises(TypeError, match="no words for"):
        RowFormat(Table("t", MetaData(), Column("c", Interval)))


VALUES = {column.name: None for column in mail_servers.columns} | {
    "id": 3,
    "is_default": True,
    "sender_name": 'ü "quoted"\n\N{LINE SEPARATOR}',
    "sealed_secret": bytes(range(256)),
    "created_at": datetime(2026, 11, 21, 14, 0, 0, 1, tzinfo=UTC),
    "secret_ends_on": date(2027, 1, 2),
}


def test_a_row_is_read_as_it_was_written() -> None:
    form = RowFormat(mail_servers)
    line = form.line(VALUES.values())

    assert line.count(b"\n") == 1
    assert form.row(json.loads(line)) == VALUES


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 11, 21, 14), datetime(2026, 11, 21, 15, tzinfo=timezone(timedelta(hours=1)))],  # noqa: DTZ001  # as SQLite gives it
    ids=str,
)
def test_a_time_is_the_same_from_either_database(moment: datetime) -> None:
    form = RowFormat(mail_servers)
    values = VALUES | {"created_at": moment}

    assert form.row(json.loads(form.line(values.values())))["created_at"] == datetime(2026, 11, 21, 14, tzinfo=UTC)


@pytest.mark.parametrize("values", [[], [1], [1, "no base64!"], [1, "", 1]], ids=str)
def test_a_malformed_row_is_refused(values: list[Any]) -> None:
    form = RowFormat(Table("t", MetaData(), Column("id", Integer), Column("sealed", LargeBinary)))
    with pytest.raises(ValueError, match=r"zip\(\)|base64"):
        form.row(values)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "x" * 201])
def test_preface_of_a_backup_is_safe_for_a_terminal(text: str) -> None:
    said = {"about": ["id", "2026-11-21T10:00:00Z", text], "revision": "0003", "keys": []}

    with pytest.raises(ValueError, match=r"^$"):
        parse_preface(said)
    assert parse_preface({**said, "about": ["id", "at", "1.0"]}).backup.program == "1.0"
