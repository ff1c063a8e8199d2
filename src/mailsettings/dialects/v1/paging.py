"""Pages of a list: `limit`, an opaque `cursor`, `next_cursor` and the header Link (RFC 8288)."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, optional_header
from mailsettings.web.request_errors import FieldError, ParameterInvalid

MAX_LIMIT = 500
DEFAULT_LIMIT = 100
_PREFIX = "after:"
_MAX_CURSOR_LENGTH = 512

Item = TypeVar("Item")

LINKED: Responses = {200: {"headers": optional_header("Link", "Present if another page follows (RFC 8288).")}}
"""The response of every list."""


class QueryModel(BaseModel):
    """The parameters in the query of one operation; unknown parameters are refused by name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PageQuery(QueryModel):
    """The parameters of every list."""

    limit: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_LIMIT,
            description="The largest number of items to return.",
            json_schema_extra={"format": "int32"},
            examples=[100],
        ),
    ] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(
            max_length=_MAX_CURSOR_LENGTH,
            description="`next_cursor` of the page before; without it, the first page.",
            examples=["YWZ0ZXI6MTA"],
        ),
    ] = None

    @property
    def after(self) -> str | None:
        """The position after which the page begins; None for the first page. Raises `ParameterInvalid`."""
        return None if self.cursor is None else _position(self.cursor)

    @property
    def after_number(self) -> int:
        """The same for positions that are positive numbers; 0 for the first page. Raises `ParameterInvalid`."""
        text = self.after or "0"
        # Longer numbers are not positions; SQLite has 64 bits.
        if not (text.isascii() and text.isdecimal() and len(text) <= len("999999999999999999")):
            raise invalid_cursor()
        return int(text)


def page_response(
    request: Request,
    query: PageQuery,
    found: Sequence[Item],
    position: Callable[[Item], object],
    view: Callable[[Item], Mapping[str, object]],
) -> Response:
    """Return the page that *query* asks for; *found* has one item more than its limit if another page follows.

    *position* is what the next page continues after, and *view* what the API shows of an item.
    """
    items = found[: query.limit]
    # A position and no number of items to skip, so that a page repeats and omits nothing when items are deleted.
    cursor = _cursor(position(items[-1])) if len(found) > query.limit else None
    body = to_json({"items": [view(item) for item in items], "next_cursor": cursor})
    return Response(body, media_type="application/json", headers={**NO_STORE, **_link(request, cursor)})


def _link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the header Link: the same address with the cursor of the next page."""
    if cursor is None:
        return {}
    # An absolute address: behind a proxy with a path of its own, a relative address would lose that path.
    base = (use_cases(request).public_url or str(request.base_url)).rstrip("/")
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    address = f"{base}{request.scope['path']}?{urlencode([*others, ('cursor', cursor)])}"
    return {"Link": f'<{address}>; rel="next"'}


def _cursor(position: object) -> str:
    return base64.urlsafe_b64encode(f"{_PREFIX}{position}".encode()).rstrip(b"=").decode()


def _position(cursor: str) -> str:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise invalid_cursor() from None
    position = text.removeprefix(_PREFIX)
    # Exactly as this service writes it: another spelling is not from here. Names and ids are printable.
    if not position.isprintable() or not position or _cursor(position) != cursor:
        raise invalid_cursor()
    return position


def invalid_cursor() -> ParameterInvalid:
    """Return the error for a cursor that this list did not make."""
    sentence = "cursor is not from a page of this list; begin with the first page."
    return ParameterInvalid(sentence, [FieldError("query", ("cursor",), sentence)])
