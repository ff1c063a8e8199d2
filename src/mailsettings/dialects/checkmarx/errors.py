"""The form of errors in Checkmarx Access Control's API: a status and a message."""

from mailsettings.dialects.checkmarx.addressing import MEDIA_TYPE, TOKEN
from mailsettings.dialects.checkmarx.translate import FIELDS
from mailsettings.domain import errors
from mailsettings.web import request_errors
from mailsettings.web.errors import ErrorResponse, ErrorStyle, ProblemDetails


def _body(error: ProblemDetails) -> dict[str, object]:
    """Return the message, with an error code if the vendor's sample of this error has one."""
    if error.code:
        return {"message": error.message, "error": {"code": error.code, "message": error.message}}
    return {"message": error.message}


TOKEN_STYLE = ErrorStyle(
    body=lambda error: {"error": error.code, "error_description": error.message},
    fields=FIELDS,
    codes={
        **dict.fromkeys((400, 401, 403, 404, 405, 409, 412, 413, 415, 429), "invalid_request"),
        # RFC 6749 5.2 has no codes for these two cases, 4.1.2.1 has.
        503: "temporarily_unavailable",
        500: "server_error",
    },
    # Without a form its parameters are missing, which is a 400 (RFC 6749 5.2).
    answers={request_errors.UnsupportedContentType: ErrorResponse(400, "invalid_request")},
)
"""The token endpoint answers each error in the shape of OAuth 2.0 (RFC 6749 5.2)."""

STYLE = ErrorStyle(
    body=_body,
    fields=FIELDS,
    answers={
        errors.LoginRefused: ErrorResponse(400),
        # DELETE documents only 400 and 404; the vendor's C# client cannot read the message of another status.
        errors.DefaultMailServerInUse: ErrorResponse(400),
        request_errors.UnsupportedVersion: ErrorResponse(400, "UnsupportedApiVersion"),
    },
    media_type=MEDIA_TYPE,
    path_styles={TOKEN: TOKEN_STYLE},
)
