"""What each error is in Oracle Analytics' API: `{code, message}` with the general OCI codes.

Source: the "API Errors" page of the Oracle Cloud documentation; 412, 413, 415 and 503 are not on it and follow its
habit of naming the status.
"""

from mailsettings.dialects.oracle_analytics.translate import FIELDS
from mailsettings.domain import errors
from mailsettings.web import refusals
from mailsettings.web.errors import Answer, ErrorStyle

STYLE = ErrorStyle(
    answers={
        errors.NotAuthenticated: Answer(401, "NotAuthenticated"),
        errors.LoginRefused: Answer(401, "NotAuthenticated"),
        # Not 401, which was seen on the live service: clients then log in again, in vain.
        errors.PermissionDenied: Answer(403, "NotAuthorized"),
        errors.InvalidSetting: Answer(400, "InvalidParameter"),
        errors.NotFound: Answer(404, "NotFound"),
        errors.AccountExists: Answer(409, "Conflict"),
        errors.ChangedMeanwhile: Answer(412, "PreconditionFailed"),
        errors.KeyRefused: Answer(409, "Conflict"),
        errors.RepeatRefused: Answer(409, "Conflict"),
        errors.SecretUnreadable: Answer(400, "InvalidParameter"),
        errors.TooMany: Answer(429, "TooManyRequests"),
        errors.IdentityUnavailable: Answer(503, "ServiceUnavailable"),
        errors.StoreUnavailable: Answer(503, "ServiceUnavailable"),
        refusals.AmbiguousCredentials: Answer(400, "InvalidParameter"),
        refusals.BodyIncomplete: Answer(400, "CannotParseRequest"),
        refusals.BodyTooLarge: Answer(413, "PayloadTooLarge"),
        refusals.HostRefused: Answer(400, "InvalidParameter"),
        refusals.MalformedBody: Answer(400, "CannotParseRequest"),
        refusals.MethodNotAllowed: Answer(405, "MethodNotAllowed"),
        refusals.NoSuchPath: Answer(404, "NotFound"),
        refusals.ParameterInvalid: Answer(400, "InvalidParameter"),
        refusals.ParameterMissing: Answer(400, "MissingParameter"),
        refusals.TestFailed: Answer(400, "MailServerTestFailed"),  # ours, as the operation is
        refusals.TooManyRequests: Answer(429, "TooManyRequests"),
        refusals.UnsupportedContentCoding: Answer(415, "UnsupportedMediaType"),
        refusals.UnsupportedContentType: Answer(415, "UnsupportedMediaType"),
        refusals.UnsupportedVersion: Answer(400, "InvalidParameter"),
        Exception: Answer(500, "InternalServerError"),
    },
    body=lambda answer, message: {"code": answer.code, "message": message},
    fields=FIELDS,
)
