"""The parameter `fields`: the top-level members that a response has."""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.web.request_errors import FieldError, ParameterInvalid

FieldsParameter = Annotated[
    str | None,
    WITHOUT_NULL,
    Field(
        max_length=500,
        description="Return only these members, by their names with commas between them. The schema of the "
        "response requires every member: it holds without this parameter.",
        examples=["id,host,port"],
    ),
]


def chosen_fields(text: str | None, known: Collection[str]) -> Collection[str]:
    """Return the members that *text* names, all of *known* without it. Raises `ParameterInvalid`."""
    if text is None:
        return known
    names = [name.strip() for name in text.split(",")]
    if not all(name in known for name in names):
        sentence = f"fields must be names of members: {', '.join(known)}."
        raise ParameterInvalid(sentence, [FieldError("query", ("fields",), sentence, "not_a_choice")])
    return names


def only(members: Mapping[str, object], names: Collection[str]) -> dict[str, object]:
    """Return the *members* with these *names*."""
    return {name: value for name, value in members.items() if name in names}
