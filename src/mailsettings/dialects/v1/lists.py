"""Lists that are short and never paged: all items in one response."""

from collections.abc import Iterable, Mapping

from fastapi import Response

from mailsettings.dialects.v1.operations import json_response


def whole_list(items: Iterable[Mapping[str, object]]) -> Response:
    """Return all *items* in the form of a page without a next page."""
    return json_response({"items": list(items), "next_cursor": None})
