"""Which version of the API a caller wants: `;v=1.0` on Accept when reading, on Content-Type when sending."""

import re

from fastapi import Request

from mailsettings.web.refusals import UnsupportedVersion

MEDIA_TYPE = "application/json; v=1.0; charset=utf-8"
"""The vendor's answers name the version they are in."""

_VERSION = re.compile(r';\s*v\s*=\s*"?([^",;\s]*)', re.IGNORECASE)
_SUPPORTED = {"1", "1.0"}


async def require_version(request: Request) -> None:
    """No version means the latest; of several the caller accepts one that we have will do."""
    header = "accept" if request.method in {"GET", "HEAD"} else "content-type"
    wanted = set(_VERSION.findall(request.headers.get(header, "")))
    if wanted and not wanted & _SUPPORTED:
        raise UnsupportedVersion
