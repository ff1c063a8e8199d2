"""The header by which a client says how it would like to be answered (RFC 7240)."""

from typing import Annotated

from fastapi import Header

Prefer = Annotated[
    str | None, Header(description="`return=representation` to be answered with the report (RFC 7240).")
]


def prefers_representation(prefer: str | None) -> bool:
    """Whether *prefer*, as it was sent, asks for a body."""
    preferences = (part.partition(";")[0].replace(" ", "").lower() for part in (prefer or "").split(","))
    return any(one in {"return=representation", 'return="representation"'} for one in preferences)
