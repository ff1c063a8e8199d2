"""How paths name a mail server, and responses with one mail server."""

from typing import Annotated

from fastapi import Depends, Path, Request, Response

from mailsettings.dialects.v1.mail_servers import translate
from mailsettings.dialects.v1.operations import json_response
from mailsettings.domain.mail_server_list import MailServerOverview
from mailsettings.domain.naming import MailServerRef, mail_server_ref
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import reads_request
from mailsettings.web.negotiation import entity_tag

PATH = "/v1/mail-servers"


@reads_request
async def _ref(
    ref: Annotated[str, Path(description="Id or name of the mail server.", examples=["7"])],
) -> MailServerRef:
    return mail_server_ref(ref)


ServerRef = Annotated[MailServerRef, Depends(_ref)]
"""The id or name in the path. Raises `MailServerNotFound` if it is neither."""


async def shown(
    request: Request,
    found: MailServerOverview | MailServerRef,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the response with one mail server, as it is now."""
    if not isinstance(found, MailServerOverview):
        found = await use_cases(request).mail_servers.overview(current_principal(request), found)
    view = translate.to_view(found).model_dump(mode="json")
    return json_response(view, status, {"ETag": entity_tag(found.stored), **(headers or {})})


def location(request: Request, server_id: int) -> str:
    """Return the address of a mail server."""
    base = use_cases(request).public_url or str(request.base_url)
    return f"{base.rstrip('/')}{PATH}/{server_id}"
