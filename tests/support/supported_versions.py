"""The table of supported versions in docs/operations.md."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from support.compose import ROOT


class Versions(NamedTuple):
    """The oldest and the newest version of a part."""

    oldest: str
    newest: str


def supported_versions() -> Mapping[str, Versions]:
    """The versions by the name of the part, in small letters."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition("## Supported versions\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| ", section, flags=re.MULTILINE)
    return {name.lower(): Versions(oldest, newest) for name, oldest, newest in rows}
