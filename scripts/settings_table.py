"""Write the tables of settings into docs/settings.md and docs/external-identity.md, from the code."""

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mailsettings.settings import PREFIX, Settings
from mailsettings.settings.issuers import ClaimPermissions, IssuerSettings

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "settings.md", DOCS / "external-identity.md"]


def table() -> str:
    """Return one row for each setting, in the order of the code."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_relative(str(field.description))} |")
    return "\n".join(rows) + "\n"


def issuer_table() -> str:
    """Return one row for each setting of an issuer in the file of issuers."""
    fields = [(name, field) for name, field in IssuerSettings.model_fields.items()]
    of_claims = [(f"permissions.{name}", field) for name, field in ClaimPermissions.model_fields.items()]
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in (*fields, *of_claims):
        description = str(field.description).replace("|", "\\|")
        rows.append(f"| `{name}` | {_default(field)} | {description} |")
    return "\n".join(rows) + "\n"


def with_tables(page: str) -> str:
    """Return *page* with its tables renewed."""
    for name, rows in {"settings": table(), "issuer settings": issuer_table()}.items():
        between = re.compile(rf"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
        page = between.sub(lambda match, rows=rows: match[1] + rows + match[2], page)  # type: ignore[misc]
    return page


def _relative(description: str) -> str:
    """Return *description* with its links as the page needs them, which is itself in `docs`."""
    return description.replace("](docs/", "](")


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if field.default_factory is not None or value is None or isinstance(value, SecretStr) or value == ():
        return ""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text()))
