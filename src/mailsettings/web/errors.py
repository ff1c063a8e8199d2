"""Turn errors into responses: one table of statuses, and each API's codes, body and names of the settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from mailsettings.domain import errors
from mailsettings.domain.access import Grants
from mailsettings.domain.connection_test import ProbeFailure, ProbeReport
from mailsettings.domain.errors import (
    InvalidSetting,
    MailSettingsError,
    NotAuthenticated,
    PermissionDenied,
    RequestInProgress,
    TooMany,
    WeakPrecondition,
)
from mailsettings.domain.setting import Setting
from mailsettings.web import request_errors
from mailsettings.web.body import request_error
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.report import Vocabulary, failure_sentence, report_members
from mailsettings.web.request_errors import (
    ConnectionTestFailed,
    FieldError,
    MethodNotAllowed,
    ParameterInvalid,
    PathNotFound,
    RequestError,
)

RETRY_AFTER_SECONDS = 5
_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
"""The order in `Allow`."""

STATUSES: Mapping[type[Exception], int] = {
    errors.NotAuthenticated: 401,
    errors.LoginRefused: 401,
    # A vendor's live service responds with 401, but then clients log in again, in vain (RFC 9110 15.5.4).
    errors.PermissionDenied: 403,
    errors.InvalidSetting: 400,
    errors.NameTaken: 409,
    errors.MailServerDisabled: 409,
    errors.DeviceDisabled: 409,
    errors.RelayNotRunning: 409,
    errors.DefaultMailServerInUse: 409,
    errors.NotFound: 404,
    errors.AccountExists: 409,
    errors.LastAccountManager: 409,
    errors.PreconditionFailed: 412,
    errors.KeyRefused: 409,
    errors.IdempotencyError: 409,
    errors.SecretUnreadable: 400,
    errors.TooMany: 429,
    errors.IdentityUnavailable: 503,
    errors.StoreUnavailable: 503,
    request_errors.SeveralCredentials: 400,
    request_errors.IncompleteBody: 400,
    request_errors.BodyTooLarge: 413,
    request_errors.HostNotAllowed: 400,
    request_errors.MalformedBody: 400,
    request_errors.MethodNotAllowed: 405,
    request_errors.PathNotFound: 404,
    request_errors.ParameterInvalid: 400,
    request_errors.ParameterMissing: 400,
    request_errors.ConnectionTestFailed: 400,
    request_errors.TooManyRequests: 429,
    request_errors.UnsupportedContentCoding: 415,
    request_errors.UnsupportedContentType: 415,
    request_errors.UnsupportedVersion: 400,
    Exception: 500,
}
"""The status of each error (RFC 9110 15); an API can override it."""

_WEAK_TAG = (
    "The entity tag in If-Match is weak (W/), and If-Match needs a strong one (RFC 9110 13.1.1). The settings are "
    "still those that the tag names: a proxy that compresses responses has made it weak. Send the tag without W/, "
    "or turn off compression for this API in the proxy."
)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The status of an error, and its code in APIs that have one."""

    status: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """Everything that an API can say about an error; `fields` are the parts of the request that it is about."""

    status: int
    code: str
    message: str
    fields: Sequence[FieldError] = ()
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorStyle:
    """The form of the errors of one API.

    `body` chooses what of an error is in a response. `codes` are the API's names of the statuses in `STATUSES`,
    and `answers` override both for some errors. The most specific class of an error in either table counts.
    `grants` are the API's names for permissions, so that a 403 names a permission that an administrator can grant;
    it names one of `other_grants`, of all APIs, where the API itself has none.
    `path_styles` are the styles of single paths.
    """

    body: Callable[[ProblemDetails], Mapping[str, object]]
    fields: Mapping[Setting, str]
    codes: Mapping[int, str] = field(default_factory=dict)
    answers: Mapping[type[Exception], ErrorResponse] = field(default_factory=dict)
    media_type: str = "application/json"
    grants: Grants = field(default_factory=dict)
    other_grants: Grants = field(default_factory=dict)
    path_styles: Mapping[str, "ErrorStyle"] = field(default_factory=dict)

    def at(self, path: str) -> "ErrorStyle":
        """Return the style of the errors at *path*, in the spelling of the routes."""
        found = self.path_styles.get(path)
        return self if found is None else replace(found, grants=self.grants)

    def answer_to(self, kind: type[Exception]) -> ErrorResponse:
        """Return the status and the code of errors of this *kind*."""
        known = next(above for above in kind.__mro__ if above in self.answers or above in STATUSES)
        return self.answers.get(known) or ErrorResponse(STATUSES[known], self.codes.get(STATUSES[known], ""))

    def response(self, error: Exception, request_id: str | None = None) -> Response:
        """Return the response to *error* in this API's shape."""
        answer = self.answer_to(type(error))
        headers = {**NO_STORE, **_headers(error, answer)}
        return JSONResponse(self.details(error, request_id), answer.status, headers, self.media_type)

    def details(self, error: Exception, request_id: str | None = None) -> Mapping[str, object]:
        """Return the body of the response to *error*."""
        answer = self.answer_to(type(error))
        fields = self._fields(error)
        return self.body(ProblemDetails(answer.status, answer.code, self._message(error), fields, request_id))

    def failed_test(self, failure: ProbeFailure, report: ProbeReport, words: Vocabulary) -> Response:
        """Return the response to a failed connection test: an error message together with the report."""
        answer = self.answer_to(ConnectionTestFailed)
        details = ProblemDetails(answer.status, answer.code, failure_sentence(failure, words))
        body = {**self.body(details), "report": report_members(report, words)}
        return JSONResponse(body, answer.status, NO_STORE, self.media_type)

    def _fields(self, error: Exception) -> Sequence[FieldError]:
        match error:
            case InvalidSetting():
                name = self.fields.get(error.setting, str(error.setting))
                return [FieldError("body", tuple(name.split(".")), f"{name} {error.problem}")]
            case ParameterInvalid():
                return error.fields
            case _:
                return ()

    def _message(self, error: Exception) -> str:
        if isinstance(error, InvalidSetting):
            return f"{self.fields.get(error.setting, error.setting)} {error.problem}"
        if isinstance(error, PermissionDenied):
            return self._lacking(error)
        if isinstance(error, WeakPrecondition):
            return _WEAK_TAG
        if isinstance(error, MailSettingsError | RequestError):
            return str(error)
        return "The service failed unexpectedly. Its log has the cause under this response's X-Request-ID."

    def _lacking(self, denied: PermissionDenied) -> str:
        for grants in (self.grants, self.other_grants):
            names = [name for name, allowed in grants.items() if denied.permission in allowed]
            if names:
                return f"This needs the permission {' or '.join(names)}."
        return str(denied)

    def install(self, app: FastAPI) -> None:
        """Render every error of the routes and the router of *app* in this style."""

        async def render(request: Request, error: Exception) -> Response:
            style = self.at(request.scope["path"])
            return style.response(_as_own_error(request, error), request.scope.get("request_id"))

        for kind in (MailSettingsError, RequestError, RequestValidationError, HTTPException, Exception):
            app.add_exception_handler(kind, render)


def _as_own_error(request: Request, error: Exception) -> Exception:
    """Translate errors of FastAPI and Starlette; FastAPI's own responses would repeat values of the request."""
    match error:
        case RequestValidationError():
            return request_error(error)
        case HTTPException(status_code=404):
            return PathNotFound()
        case HTTPException(status_code=405):
            return MethodNotAllowed(", ".join(_allowed_methods(request)))
        case HTTPException():
            return ParameterInvalid("The request is malformed.")
        case _:
            return error


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods that the path has routes for; Starlette's own Allow header knows the first route only."""
    routes = request.app.router.routes
    methods = {"HEAD"}.union(*(getattr(route, "methods", None) or () for route in routes))

    def is_answered(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in (*_METHODS, *sorted(methods.difference(_METHODS))) if is_answered(method)]


def _headers(error: Exception, answer: ErrorResponse) -> dict[str, str]:
    """Return the headers that RFC 6750 3 and RFC 9110 require for *error*."""
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if error.presented else "Bearer"}
    if isinstance(error, PermissionDenied):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    if isinstance(error, TooMany | RequestInProgress):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, RequestError):
        return dict(error.headers)
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if answer.status == 503 else {}  # noqa: PLR2004  # named by RFC 9110
