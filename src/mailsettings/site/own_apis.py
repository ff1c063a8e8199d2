"""What our own APIs, beside the vendors', have in common: errors of the plainest shape."""

from typing import Annotated

from pydantic import BaseModel, Field

from mailsettings.domain.errors import (
    IdentityUnavailable,
    MailSettingsError,
    NotAuthenticated,
    PermissionDenied,
    StoreUnavailable,
    TooMany,
)
from mailsettings.domain.setting import Setting
from mailsettings.web import refusals
from mailsettings.web.documentation import common_refusals
from mailsettings.web.errors import Answer, ErrorStyle
from mailsettings.web.refusals import RequestRefused


class Refusal(BaseModel):
    """Why a request was refused."""

    message: Annotated[str, Field(description="What is wrong and what to do.")]


ERRORS = common_refusals(Refusal)

STYLE = ErrorStyle(
    answers={
        **{kind: Answer(400) for kind in (MailSettingsError, RequestRefused)},
        NotAuthenticated: Answer(401),
        PermissionDenied: Answer(403),
        refusals.NoSuchPath: Answer(404),
        refusals.MethodNotAllowed: Answer(405),
        refusals.BodyTooLarge: Answer(413),
        refusals.UnsupportedContentCoding: Answer(415),
        refusals.UnsupportedContentType: Answer(415),
        **{kind: Answer(429) for kind in (TooMany, refusals.TooManyRequests)},
        **{kind: Answer(503) for kind in (IdentityUnavailable, StoreUnavailable)},
        Exception: Answer(500),
    },
    body=lambda _answer, message: {"message": message},
    fields={setting: str(setting) for setting in Setting},
)
