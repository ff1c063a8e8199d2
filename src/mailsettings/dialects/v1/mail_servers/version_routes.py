"""The path operations on the versions of a mail server: list, compare and restore."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from pydantic import Field, WithJsonSchema

from mailsettings.dialects.v1.mail_servers import examples, translate
from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.dialects.v1.mail_servers.addressing import PATH, ServerRef, shown
from mailsettings.dialects.v1.mail_servers.routes import TAG
from mailsettings.dialects.v1.operations import (
    CHANGED,
    NO_QUERY,
    REPEATED,
    example,
    json_response,
    new_router,
    not_found,
)
from mailsettings.dialects.v1.paging import LINKED, PageQuery, QueryModel, page_response
from mailsettings.domain.access import Permission
from mailsettings.domain.change import MailServerVersion
from mailsettings.domain.errors import NoSuchVersion
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import reads_request
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.negotiation import WritePrecondition
from mailsettings.web.openapi import Int32, header_references
from mailsettings.web.routing import requires_permission

VERSIONS = f"{PATH}/{{ref}}/versions"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_NO_SERVER = not_found("No mail server has this id or name.")
_NO_VERSION = not_found("No mail server has this id or name, or it has no such version.")

router = new_router(TAG)


@reads_request
async def _number(
    version: Annotated[
        str,
        Path(description="Number of the version.", examples=[1]),
        WithJsonSchema({**Int32, "minimum": 1}),
    ],
) -> int:
    if not _NUMBER.fullmatch(version):
        raise NoSuchVersion(0)
    return int(version)


VersionNumber = Annotated[int, Depends(_number)]


class DifferenceQuery(QueryModel):
    """The parameters of a comparison."""

    to: Annotated[
        str,
        Field(
            pattern=r"^(current|[1-9][0-9]{0,8})$",
            description="`current`, or the number of the version to compare with.",
            examples=["current"],
        ),
    ] = "current"


@router.get(
    VERSIONS,
    operation_id="list_mail_server_versions",
    summary="List the versions of a mail server",
    response_description="A page of versions, newest first.",
    response_model=wire.MailServerVersionPage,
    responses={200: {**example(examples.VERSIONS), **LINKED[200]}, **_NO_SERVER},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def list_mail_server_versions(
    request: Request, ref: ServerRef, query: Annotated[PageQuery, Query()]
) -> Response:
    """Return the stored versions, who made them, and what changed with each of them."""
    past = await use_cases(request).history.versions(current_principal(request), ref)
    before = query.after_number
    steps = [step for step in pairwise([*past, None]) if not before or (step[0] and step[0].version < before)]
    return page_response(
        request,
        query,
        [(now, older) for now, older in steps if now is not None][: query.limit + 1],
        position=lambda step: step[0].version,
        view=lambda step: translate.to_version(*step).model_dump(mode="json"),
    )


@router.get(
    f"{VERSIONS}/{{version}}/diff",
    operation_id="diff_mail_server_version",
    summary="Compare two versions of a mail server",
    response_description="What differs.",
    response_model=wire.MailServerDifference,
    responses={200: example(examples.DIFFERENCE), **_NO_VERSION},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def diff_mail_server_version(
    request: Request, ref: ServerRef, version: VersionNumber, query: Annotated[DifferenceQuery, Query()]
) -> Response:
    """Return the settings that differ between a version and another, or the current settings."""
    past = await use_cases(request).history.versions(current_principal(request), ref)
    older = _of(past, version)
    newer = past[0] if query.to == "current" else _of(past, int(query.to))
    found = wire.MailServerDifference(
        from_version=older.version,
        to_version=newer.version,
        changes=translate.changes(older.server, newer.server),
    )
    return json_response(found.model_dump(mode="json"))


@router.post(
    f"{VERSIONS}/{{version}}/restore",
    operation_id="restore_mail_server_version",
    summary="Restore a version of a mail server",
    response_description="The mail server as it is now.",
    response_model=wire.MailServerView,
    responses={
        200: {**example(examples.VIEW), **header_references("ETag")},
        **_NO_VERSION,
        **REPEATED,
        **CHANGED,
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def restore_mail_server_version(
    request: Request,
    ref: ServerRef,
    version: VersionNumber,
    expected: WritePrecondition,
    idempotency_key: IdempotencyHeader,
) -> Response:
    """Restore all settings of a version, including its secret, as a new version; name and `enabled` stay.

    A mail server that was removed comes back with its id.
    """
    caller = current_principal(request)
    stored = await use_cases(request).history.restore(caller, ref, version, expected, idempotency_key)
    return await shown(request, stored.id)


def _of(past: Sequence[MailServerVersion], version: int) -> MailServerVersion:
    for each in past:
        if each.version == version:
            return each
    raise NoSuchVersion(version)
