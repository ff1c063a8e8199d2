"""What each error is in Checkmarx Access Control's API: a status, and a message."""

from mailsettings.dialects.checkmarx.paths import TOKEN
from mailsettings.dialects.checkmarx.translate import FIELDS
from mailsettings.dialects.checkmarx.version import MEDIA_TYPE
from mailsettings.domain import errors
from mailsettings.web import refusals
from mailsettings.web.errors import Answer, ErrorStyle


def _body(answer: Answer, message: str) -> dict[str, object]:
    """`code` is given for errors whose sample from the vendor holds one beside the message."""
    if answer.code:
        return {"message": message, "error": {"code": answer.code, "message": message}}
    return {"message": message}


TOKEN_STYLE = ErrorStyle(
    answers={
        refusals.RequestRefused: Answer(400, "invalid_request"),
        refusals.BodyTooLarge: Answer(413, "invalid_request"),
        refusals.MethodNotAllowed: Answer(405, "invalid_request"),
        refusals.UnsupportedContentCoding: Answer(415, "invalid_request"),
        errors.MailSettingsError: Answer(400, "invalid_request"),
        # Not among the errors of RFC 6749 5.2; 4.1.2.1 has them for the same two cases.
        errors.StoreUnavailable: Answer(503, "temporarily_unavailable"),
        Exception: Answer(500, "server_error"),
    },
    body=lambda answer, message: {"error": answer.code, "error_description": message},
    fields=FIELDS,
)
"""The token endpoint answers each error in the shape of OAuth 2.0 (RFC 6749 5.2)."""

STYLE = ErrorStyle(
    answers={
        errors.NotAuthenticated: Answer(401),
        errors.LoginRefused: Answer(400),
        errors.PermissionDenied: Answer(403),
        errors.InvalidSetting: Answer(400),
        errors.NotFound: Answer(404),
        errors.AccountExists: Answer(409),
        errors.ChangedMeanwhile: Answer(412),
        errors.KeyRefused: Answer(409),
        errors.RepeatRefused: Answer(409),
        errors.SecretUnreadable: Answer(400),
        errors.TooMany: Answer(429),
        errors.IdentityUnavailable: Answer(503),
        errors.StoreUnavailable: Answer(503),
        refusals.AmbiguousCredentials: Answer(400),
        refusals.BodyIncomplete: Answer(400),
        refusals.BodyTooLarge: Answer(413),
        refusals.HostRefused: Answer(400),
        refusals.MalformedBody: Answer(400),
        refusals.MethodNotAllowed: Answer(405),
        refusals.NoSuchPath: Answer(404),
        refusals.ParameterInvalid: Answer(400),
        refusals.ParameterMissing: Answer(400),
        refusals.TestFailed: Answer(400),
        refusals.TooManyRequests: Answer(429),
        refusals.UnsupportedContentCoding: Answer(415),
        refusals.UnsupportedContentType: Answer(415),
        refusals.UnsupportedVersion: Answer(400, "UnsupportedApiVersion"),
        Exception: Answer(500),
    },
    body=_body,
    fields=FIELDS,
    media_type=MEDIA_TYPE,
    special={TOKEN: TOKEN_STYLE},
)
