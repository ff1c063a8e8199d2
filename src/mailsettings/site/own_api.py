"""The form of errors in this service's own APIs: a message."""

from typing import Annotated

from pydantic import BaseModel, Field

from mailsettings.domain.setting import Setting
from mailsettings.web.errors import ErrorStyle
from mailsettings.web.openapi import common_error_responses


class Refusal(BaseModel):
    """Why a request was refused."""

    message: Annotated[str, Field(description="What is wrong and what to do.")]


ERRORS = common_error_responses(Refusal)

STYLE = ErrorStyle(
    body=lambda error: {"message": error.message},
    fields={setting: str(setting) for setting in Setting},
)
