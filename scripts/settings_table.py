"""Write the table of settings into docs/settings.md, from the descriptions in the code."""

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mailsettings.settings import PREFIX, Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_BETWEEN = re.compile(r"(<!-- settings -->\n).*(<!-- /settings -->)", re.DOTALL)


def table() -> str:
    """Return one row for each setting, in the order of the code."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_relative(str(field.description))} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """Return *page* with its table renewed."""
    return _BETWEEN.sub(lambda match: match[1] + table() + match[2], page)


def _relative(description: str) -> str:
    """Return *description* with its links as the page needs them, which is itself in `docs`."""
    return description.replace("](docs/", "](")


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.default_factory is not None or value is None or isinstance(value, SecretStr) or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
