"""The file of the audit log's witness: replaced whole, never moved on from what it does not hold."""

from pathlib import Path

import pytest

from mailsettings.domain.audit_log import WitnessedEntry, WitnessUnreadable, WitnessUnwritable
from mailsettings.store.audit_witness import WitnessFile

FIRST, SECOND = WitnessedEntry(1, b"\x01" * 32), WitnessedEntry(2, b"\x02" * 32)


@pytest.fixture
def file(tmp_path: Path) -> WitnessFile:
    return WitnessFile(tmp_path / "audit-witness")


def test_a_witnessed_entry_is_read_as_it_was_written(file: WitnessFile) -> None:
    file.put(FIRST)

    found = file.read()
    assert found is not None
    assert (found.sequence, found.mac, found.place) == (1, FIRST.mac, str(file.path))
    assert file.path.read_text() == f"1:{'01' * 32}\n"
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["audit-witness"]


def test_the_witness_moves_on_only_from_what_was_read(file: WitnessFile) -> None:
    assert file.replace(None, FIRST)
    read = file.read()
    assert file.replace(read, SECOND)

    assert not file.replace(read, WitnessedEntry(3, b"\x03" * 32))
    assert str(file.read()) == str(SECOND)


def test_a_new_witness_holds_no_entry(tmp_path: Path, file: WitnessFile) -> None:
    (tmp_path / "a-file").touch()

    assert file.read() is None
    assert WitnessFile(tmp_path / "none" / "audit-witness").read() is None
    assert WitnessFile(tmp_path / "a-file" / "audit-witness").read() is None


def test_only_a_missing_or_read_only_directory_is_expected(tmp_path: Path, file: WitnessFile) -> None:
    with pytest.raises(WitnessUnwritable, match="audit-witness cannot be written") as missing:
        WitnessFile(tmp_path / "none" / "audit-witness").put(FIRST)
    file.path.mkdir()
    with pytest.raises(WitnessUnwritable) as in_the_way:
        file.put(FIRST)
    with pytest.raises(WitnessUnreadable, match="cannot be read"):
        file.read()

    assert (missing.value.expected, in_the_way.value.expected) == (True, False)
