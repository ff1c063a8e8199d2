"""Conditional requests (RFC 9110 13): entity tags of mail servers, and what callers say by them."""

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.precondition import Precondition, States
from mailsettings.web.refusals import ParameterInvalid

_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)')

IfMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-Match",
        description="Change the settings only if their entity tag is one of these; otherwise the answer is 412. "
        "`*` stands for any settings (RFC 9110).",
        examples=['"1.3.64f1d2c3b4a59"'],
    ),
]
IfNoneMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-None-Match",
        description="With `*`: change nothing if there are settings already; the answer is 412 then (RFC 9110).",
        examples=["*"],
    ),
]
IfChanged = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-None-Match",
        description="Answer with 304 and no body if the entity tag of the settings is one of these (RFC 9110).",
        examples=['"1.3.64f1d2c3b4a59"'],
    ),
]


def entity_tag(stored: StoredMailServer) -> str:
    """A strong one: no other state of this or another server has it, in no API."""
    return f'"{stored.tag}"'


def not_modified(request: Request, stored: StoredMailServer) -> bool:
    """Whether the caller says that it has *stored* as it is."""
    known = _states(request, "if-none-match", weak=True)
    return known is not None and stored in known


def unchanged(stored: StoredMailServer, headers: Mapping[str, str]) -> Response:
    """The answer without a body, to somebody who has it."""
    return Response(status_code=304, headers={**headers, "ETag": entity_tag(stored)})


def _expected(request: Request, if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> Precondition:  # noqa: ARG001  # for the documents; several lines of one header are read from the request
    # Whoever writes is held to the strong comparison (RFC 9110 13.1.1).
    return Precondition(_states(request, "if-match"), _states(request, "if-none-match", weak=True))


Expected = Annotated[Precondition, Depends(_expected)]
"""What the caller takes to be stored. Raises `ParameterInvalid`."""


def _states(request: Request, header: str, *, weak: bool = False) -> States | None:
    """The states whose tags a header lists. A tag that is not of our making is of no state."""
    lines = request.headers.getlist(header)
    if not lines:
        return None
    text = ",".join(lines).strip()
    if text == "*":
        return States()
    tags = _tags(text, header)
    return States(frozenset(tag for is_weak, tag in tags if weak or not is_weak))


def _tags(text: str, header: str) -> list[tuple[bool, str]]:
    tags: list[tuple[bool, str]] = []
    position = 0
    while text[position:].strip(" \t,"):
        found = _TAG.match(text, position)
        if found is None:
            raise ParameterInvalid(f"{header.title()} must be * or entity tags in double quotes.")
        tags.append((bool(found[1]), found[2]))
        position = found.end()
    return tags
