"""Routes that check the permission first, then read a bounded body strictly, then call FastAPI."""

import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, request_response
from starlette.types import Message, Receive, Scope, Send

from mailsettings.domain.access import Permission
from mailsettings.domain.errors import PermissionDenied
from mailsettings.web import body as strict_json
from mailsettings.web.auth import current_principal
from mailsettings.web.body import is_usual_name, member_names
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import RouteHandler, direct_handler
from mailsettings.web.idempotency import BODY_SCOPE_KEY, mark_replayed
from mailsettings.web.normalization import ascii_lower
from mailsettings.web.request_errors import (
    BodyTooLarge,
    FieldError,
    IncompleteBody,
    ParameterInvalid,
    UnsupportedContentCoding,
    UnsupportedContentType,
)

MAX_BODY_BYTES = 64 * 1024
_TEXT_JSON = "text/json"
FORM = "application/x-www-form-urlencoded"
# Also types with the suffix +json (RFC 6839 3.1), and text/json, which clients of ASP.NET send.
_JSON = re.compile(r"(application/([a-z0-9.!#$&^_-]+\+)?|text/)json", re.ASCII | re.IGNORECASE)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])


def requires_permission(permission: Permission) -> Callable[[Endpoint], Endpoint]:
    """Mark a path operation: it reads bodies only of principals with *permission*."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.permission = permission  # type: ignore[attr-defined]  # functions allow attributes
        return endpoint

    return mark


class HeadRoute(APIRoute):
    """A route that answers HEAD wherever it answers GET (RFC 9110 9.1).

    The endpoint runs as for GET, so status and headers are the same; the server leaves out the body. HEAD is not
    in `methods`, from which FastAPI would document it as a separate operation.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match HEAD as GET."""
        return super().matches({**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint."""
        if scope["method"] == "HEAD" and self.methods and "GET" in self.methods:
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


class StrictRoute(HeadRoute):
    """A route that checks the permission, then the form of the body, then its content."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if direct_handler(self.dependant) is not None:
            # Without FastAPI's exit stacks, which close what its solver opens.
            self.app = request_response(self.get_route_handler())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Give way to a route without parameters for the same path, for all methods (OpenAPI 3.1, 4.8.8)."""
        path = scope["path"]
        # A route without parameters has one path, which is faster to compare than a pattern to match.
        if path in scope["app"].state.concrete_paths if self.param_convertors else path != self.path:
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> RouteHandler:
        """Wrap FastAPI's own handler, as its documentation of custom routes describes."""
        handle = direct_handler(self.dependant) or super().get_route_handler()
        permission: Permission | None = getattr(self.endpoint, "permission", None)
        reads_body = self.body_field is not None
        must_be_there = reads_body and self.body_field.field_info.is_required()  # type: ignore[union-attr]
        reads_json = reads_body and not isinstance(self.body_field.field_info, Form)  # type: ignore[union-attr]
        members = member_names(self.body_field.field_info.annotation) if reads_json else frozenset()  # type: ignore[union-attr]

        async def ask_and_read(request: Request) -> Response:
            # The permission comes first: a caller without it learns nothing about validation, and sends no body.
            if permission is not None:
                await _require_permission(request, permission)
            _require_no_nul(request)
            if reads_json and (must_be_there or _has_body(request)):
                _require_json(request, optional=not self.strict_content_type)
            if reads_body and not reads_json:
                _require_form(request)
            if reads_body:
                _require_uncompressed(request)
                body = await _read_bounded(request)
                request = _ReadRequest(request, body, members if reads_json else None)
            answer = await handle(request)
            mark_replayed(request, answer)
            return answer

        return ask_and_read


async def _require_permission(request: Request, permission: Permission) -> None:
    principal = current_principal(request)
    try:
        principal.require(permission)
    except PermissionDenied:
        await use_cases(request).authentication.denied(principal, permission)
        raise


def _require_no_nul(request: Request) -> None:
    """Refuse a NUL character in the path and the query: databases reject it, or end the text there."""
    if "\0" not in request.scope["path"] and b"%00" not in request.scope["query_string"]:
        return
    sent = [("path", name, str(value)) for name, value in request.path_params.items()]
    sent += [("query", name, value) for name, value in request.query_params.multi_items()]
    wrong = [
        FieldError(source, (name,), f"{name} must not have a NUL character.")
        for source, name, value in sent
        if "\0" in value and is_usual_name(name)  # another name is refused as unknown, or ignored
    ]
    if wrong:
        raise ParameterInvalid(" ".join(field.sentence for field in wrong), wrong)


class _ReadRequest(Request):
    """A request with a body that has been read, and parsed if it is JSON with *members*."""

    def __init__(self, request: Request, body: bytes, members: Collection[str] | None) -> None:
        super().__init__(request.scope, _replay(body))
        self.scope[BODY_SCOPE_KEY] = body
        self._parsed = None if members is None or not body else strict_json.parse(body, members)
        if ascii_lower(_media_type(request)) == _TEXT_JSON:  # FastAPI would not parse it
            self._headers = MutableHeaders(raw=list(request.headers.raw))
            self._headers["content-type"] = "application/json"

    async def json(self) -> Any:
        """Return the value from the strict parser."""
        return self._parsed


async def _read_bounded(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)  # before a client that expects 100 (Continue) sends it
    body = bytearray()  # chunked bodies declare no length (RFC 9112 7.1)
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise BodyTooLarge(MAX_BODY_BYTES)
    except ClientDisconnect:
        raise IncompleteBody from None
    return bytes(body)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _has_body(request: Request) -> bool:
    """Return whether the request has a body: either header announces one (RFC 9112 6)."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _require_uncompressed(request: Request) -> None:
    """Raise `UnsupportedContentCoding` for any coding but `identity` (RFC 9110 8.4)."""
    codings = ",".join(request.headers.getlist("content-encoding")).split(",")
    if any(ascii_lower(coding.strip()) not in {"", "identity"} for coding in codings):
        raise UnsupportedContentCoding


def _require_json(request: Request, *, optional: bool) -> None:
    media_type = _media_type(request)
    if not (_JSON.fullmatch(media_type) or (optional and not media_type)):
        raise UnsupportedContentType


def _require_form(request: Request) -> None:
    """Raise `UnsupportedContentType` unless the form is URL-encoded (RFC 6749 4.4.2)."""
    if ascii_lower(_media_type(request)) != FORM:
        raise UnsupportedContentType("a form", FORM)


def _media_type(request: Request) -> str:
    """Return the declared media type; two different headers are joined, which matches no supported type."""
    types = (line.partition(";")[0].strip() for line in request.headers.getlist("content-type"))
    return ", ".join(dict.fromkeys(types))
