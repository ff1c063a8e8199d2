"""The version of the program."""

import platform
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from mailsettings import __version__
from mailsettings.dialects.v1.operations import NO_QUERY, example, json_response, new_router

TAG = "Service"

router = new_router(TAG, behind_permission=False)


class Version(BaseModel):
    """The version of this program and of Python."""

    version: Annotated[str, Field(description="Version of mail-settings.")]
    python: Annotated[str, Field(description="Version of Python.")]


@router.get(
    "/v1/version",
    operation_id="get_version",
    summary="Get the version of the program",
    response_description="The version.",
    response_model=Version,
    responses={200: example({"version": "0.4.0", "python": "3.11.9"})},
    dependencies=[NO_QUERY],
)
async def get_version() -> Response:
    """Return the version. Every valid access token is enough."""
    return json_response(Version(version=__version__, python=platform.python_version()).model_dump())
