"""The header by which a client says how it would like to be answered (RFC 7240)."""

from typing import Annotated

from fastapi import Header
from pydantic.json_schema import SkipJsonSchema

Prefer = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="Prefer",
        description="`return=representation` asks for the report in the body of a success (RFC 7240).",
        examples=["return=representation"],
    ),
]


def prefers_representation(prefer: str | None) -> bool:
    """Whether *prefer*, as it was sent, asks for a body."""
    preferences = (part.partition(";")[0].replace(" ", "").lower() for part in (prefer or "").split(","))
    return any(one in {"return=representation", 'return="representation"'} for one in preferences)
