"""The SQL of the filters in a list of mail servers.

Labels are searched in their stored JSON text. A key has no quotation mark or backslash, and JSON escapes both in a
value, so `"key":"value"` appears in the text only as that label.
"""

import json
from collections.abc import Iterator

from sqlalchemy import ColumnElement, String, cast, func, literal

from mailsettings.domain.mail_server_list import LabelFilter, MailServerFilter
from mailsettings.domain.naming import name_of_id
from mailsettings.store.monitoring import HEALTH
from mailsettings.store.tables import mail_servers as table

_SHOWN_NAME = func.coalesce(table.c.name, literal(name_of_id(0)[:-1]) + cast(table.c.id, String))


def conditions(wanted: MailServerFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the filter, on mail servers joined with the results of their checks."""
    if wanted.name_part is not None:
        yield _SHOWN_NAME.contains(wanted.name_part, autoescape=True)
    if wanted.enabled is not None:
        yield table.c.enabled if wanted.enabled else ~table.c.enabled
    if wanted.health is not None:
        yield HEALTH.in_([wanted.health.value])
    for label in wanted.labels:
        yield _has(label)


def _has(label: LabelFilter) -> ColumnElement[bool]:
    value = "" if label.value is None else json.dumps(label.value)
    # Not LIKE, which ignores the case of letters on SQLite.
    rest = func.replace(table.c.labels, f"{json.dumps(label.key)}:{value}", "")
    return func.length(rest) < func.length(table.c.labels)
