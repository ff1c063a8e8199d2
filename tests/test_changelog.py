"""The changelog: a section for each version, and the newest is the version of the package."""

import re
from pathlib import Path

from mailsettings import __version__

TEXT = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
HEADINGS = re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE)
VERSIONS = [heading for heading in HEADINGS if heading != "Unreleased"]


def test_the_newest_version_is_that_of_the_package() -> None:
    assert __version__ == VERSIONS[0]


def test_versions_stand_newest_first_below_the_unreleased_changes() -> None:
    numbers = [tuple(map(int, version.split("."))) for version in VERSIONS]

    assert sorted(numbers, reverse=True) == numbers
    assert HEADINGS in (VERSIONS, ["Unreleased", *VERSIONS])


def test_every_change_is_one_line_below_a_known_heading() -> None:
    sections = set(re.findall(r"^### (.+)$", TEXT, flags=re.MULTILINE))
    below = TEXT.partition("\n## ")[2].splitlines()

    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "New names"}
    assert [line for line in below if line.startswith(("  ", "* "))] == []
