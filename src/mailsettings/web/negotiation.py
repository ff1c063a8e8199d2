"""Conditional requests and entity tags (RFC 9110 13), and preferences (RFC 7240)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Header, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from mailsettings.domain.change import Precondition, StateTags
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.web.direct import reads_request
from mailsettings.web.request_errors import ParameterInvalid

NO_STORE = {"Cache-Control": "no-store"}
"""For responses with settings and errors, which caches must not keep (RFC 9111 5.2.2.5)."""
# An entity tag (RFC 9110 8.8.3), after the white space and empty elements that lists may have (5.6.1).
_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)')
_ZERO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")
_CODING_SUFFIX = re.compile(r"-(gzip|br|zstd)$")
"""Compressing proxies (Apache, Caddy) append it inside the quotes. No tag of this service has this ending."""

IfMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-Match",
        description="Change the settings only if their entity tag is listed here; otherwise respond with 412. "
        "`*` matches any settings (RFC 9110).",
        examples=['"1.3.64f1d2c3b4a59"'],
    ),
]
IfNoneMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-None-Match",
        description="`*`: change nothing and respond with 412 if settings are stored already (RFC 9110).",
        examples=["*"],
    ),
]
IfMatchOnRead = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-Match",
        description="Respond with 412 unless the entity tag of the settings is listed here (RFC 9110).",
        examples=['"1.3.64f1d2c3b4a59"'],
    ),
]
IfNoneMatchOnRead = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="If-None-Match",
        description="Respond with 304 and no body if the entity tag of the settings is listed here (RFC 9110).",
        examples=['"1.3.64f1d2c3b4a59"'],
    ),
]


def entity_tag(stored: StoredMailServer) -> str:
    """Return the strong entity tag of *stored*: no other state of any server has it, in any API."""
    return f'"{stored.tag}"'


def not_modified_response(stored: StoredMailServer, headers: Mapping[str, str]) -> Response:
    """Return the 304 response for a caller that already has *stored*."""
    return Response(status_code=304, headers={**headers, "ETag": entity_tag(stored)})


@dataclass(frozen=True, slots=True)
class ReadCondition:
    """The preconditions of a read: the states that the caller expects, and the states that it already has."""

    expected: Precondition
    known: StateTags | None

    def not_modified(self, stored: StoredMailServer) -> bool:
        """Return whether the caller has *stored*. If-Match comes first (13.2.2): raises `PreconditionFailed`."""
        self.expected.require(stored)
        return self.known is not None and stored in self.known


async def _expected(request: Request, if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> Precondition:  # noqa: ARG001  # only documented: a header may have several lines, which the request has
    return _precondition(request, none_of=_known_states(request))


@reads_request
async def _read_condition(
    request: Request,
    if_match: IfMatchOnRead = None,  # noqa: ARG001  # as above
    if_none_match: IfNoneMatchOnRead = None,  # noqa: ARG001
) -> ReadCondition:
    return ReadCondition(_precondition(request), _known_states(request))


WritePrecondition = Annotated[Precondition, Depends(_expected)]
"""The precondition of a write. Raises `ParameterInvalid`."""
ReadPreconditions = Annotated[ReadCondition, Depends(_read_condition)]
"""The preconditions of a read. Raises `ParameterInvalid`."""


def _precondition(request: Request, none_of: StateTags | None = None) -> Precondition:
    """If-Match compares strongly (RFC 9110 13.1.1), so weak tags are kept separate."""
    tags = _listed_tags(request, "if-match")
    if tags is None:
        return Precondition(none_of=none_of)
    if tags == "*":  # any current representation (RFC 9110 13.1.1)
        return Precondition(StateTags(), none_of)
    strong, weak = (frozenset(tag for is_weak, tag in tags if is_weak is kind) for kind in (False, True))
    return Precondition(StateTags(strong), none_of, StateTags(weak))


def _known_states(request: Request) -> StateTags | None:
    """If-None-Match compares weakly (RFC 9110 13.1.2)."""
    tags = _listed_tags(request, "if-none-match")
    if tags is None or tags == "*":
        return None if tags is None else StateTags()
    return StateTags(frozenset(tag for _, tag in tags))


def _listed_tags(request: Request, header: str) -> list[tuple[bool, str]] | Literal["*"] | None:
    """Return the tags in *header*, each with whether it is weak; None without the header."""
    lines = request.headers.getlist(header)
    if not lines:
        return None
    text = ",".join(lines).strip()  # several lines are one list (RFC 9110 5.3)
    return "*" if text == "*" else _tags(text, header)


def _tags(text: str, header: str) -> list[tuple[bool, str]]:
    tags: list[tuple[bool, str]] = []
    position = 0
    while text[position:].strip(" \t,"):
        found = _TAG.match(text, position)
        if found is None:
            raise ParameterInvalid(f"{header.title()} must be * or entity tags in double quotes.")
        tags.append((bool(found[1]), _CODING_SUFFIX.sub("", found[2])))
        position = found.end()
    return tags


def accepts_gzip(values: Sequence[str]) -> bool:
    """Return whether the lines *values* of Accept-Encoding name gzip with a weight above 0 (RFC 9110 12.5.3)."""
    codings = (part.replace(" ", "").lower().partition(";") for line in values for part in line.split(","))
    return any(name in {"gzip", "x-gzip"} and not _ZERO_WEIGHT.fullmatch(weight) for name, _, weight in codings)


Prefer = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="Prefer",
        description="`return=representation` asks for the report in the body of a successful response (RFC 7240).",
        examples=["return=representation"],
    ),
]


def prefers_representation(prefer: str | None) -> bool:
    """Return whether the header value *prefer* asks for a body."""
    preferences = (part.partition(";")[0].replace(" ", "").lower() for part in (prefer or "").split(","))
    return any(each in {"return=representation", 'return="representation"'} for each in preferences)
