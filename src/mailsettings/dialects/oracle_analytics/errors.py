"""The form of errors in Oracle Analytics' API: `{code, message}` with the general OCI codes.

Source: the "API Errors" page of the Oracle Cloud documentation. The codes of 412, 413, 415 and 503 are not on it;
they name the status, as its other codes do.
"""

from mailsettings.dialects.oracle_analytics.translate import FIELDS
from mailsettings.domain import errors
from mailsettings.web import request_errors
from mailsettings.web.errors import ErrorResponse, ErrorStyle

STYLE = ErrorStyle(
    body=lambda error: {"code": error.code, "message": error.message},
    fields=FIELDS,
    codes={
        400: "InvalidParameter",
        401: "NotAuthenticated",
        403: "NotAuthorized",
        404: "NotFound",
        405: "MethodNotAllowed",
        409: "Conflict",
        412: "PreconditionFailed",
        413: "PayloadTooLarge",
        415: "UnsupportedMediaType",
        429: "TooManyRequests",
        500: "InternalServerError",
        503: "ServiceUnavailable",
    },
    answers={
        errors.MailServerDisabled: ErrorResponse(409, "IncorrectState"),
        request_errors.IncompleteBody: ErrorResponse(400, "CannotParseRequest"),
        request_errors.MalformedBody: ErrorResponse(400, "CannotParseRequest"),
        request_errors.ParameterMissing: ErrorResponse(400, "MissingParameter"),
        request_errors.ConnectionTestFailed: ErrorResponse(
            400, "MailServerTestFailed"
        ),  # ours, as the operation is
    },
)
