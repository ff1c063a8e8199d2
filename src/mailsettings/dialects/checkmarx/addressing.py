"""Which version of the API a caller wants: `;v=1.0` on Accept when reading, on Content-Type when sending."""

import re
from collections.abc import Iterator

from fastapi import Request

from mailsettings.web.normalization import ascii_lower
from mailsettings.web.request_errors import UnsupportedVersion

MEDIA_TYPE = "application/json; v=1.0; charset=utf-8"
"""The vendor's answers name the version they are in."""

_VERSIONED = {"application/json", "application/json-patch+json"}
"""What the vendor's clients name with a version. `v` of another type is its own: browsers send
`application/signed-exchange;v=b3`."""
_RANGE = re.compile(r'(?:[^",]|"[^"]*")+')
_VERSION = re.compile(r';\s*v\s*=\s*"?([^";\s]*)', re.ASCII | re.IGNORECASE)
_SUPPORTED = {"1", "1.0"}


async def require_version(request: Request) -> None:
    """No version means the latest; of several the caller accepts one that we have will do."""
    header = "accept" if request.method in {"GET", "HEAD"} else "content-type"
    wanted = set(_versions(",".join(request.headers.getlist(header))))
    if wanted and not wanted & _SUPPORTED:
        raise UnsupportedVersion


def _versions(header: str) -> Iterator[str]:
    for media_range in _RANGE.findall(header):
        media_type, _, _ = media_range.partition(";")
        if ascii_lower(media_type.strip()) in _VERSIONED:
            yield from _VERSION.findall(media_range)
