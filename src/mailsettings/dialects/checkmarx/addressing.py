"""How requests address this API: paths in any case, and the API version in media types (`;v=1.0`)."""

import re
from collections.abc import Iterator

from fastapi import Request

from mailsettings.web.direct import reads_request
from mailsettings.web.normalization import ascii_lower, segments
from mailsettings.web.request_errors import UnsupportedVersion

PREFIX = "/cxrestapi"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
TOKEN = "/cxrestapi/auth/identity/connect/token"  # noqa: S105  # a path, not a token
DISCOVERY = "/cxrestapi/auth/identity/.well-known/openid-configuration"
KEYS = f"{DISCOVERY}/jwks"

_SPELLINGS = {"smtpsettings": "SMTPSettings"}


def match_path(path: str) -> str | None:
    """Return *path* in the spelling of the routes, or None if it is not below `/cxrestapi`.

    ASP.NET routes in any case, and with doubled or trailing slashes.
    """
    found = segments(ascii_lower(path))
    if found[:1] != segments(PREFIX):
        return None
    return "/" + "/".join(_SPELLINGS.get(segment, segment) for segment in found)


MEDIA_TYPE = "application/json; v=1.0; charset=utf-8"
"""The vendor's responses name their version."""

_VERSIONED = {"application/json", "application/json-patch+json"}
"""The media types that the vendor's clients send with a version. In other types `v` has another meaning: browsers
send `application/signed-exchange;v=b3`."""
_RANGE = re.compile(r'(?:[^",]|"[^"]*")+')
_VERSION = re.compile(r';\s*v\s*=\s*"?([^";\s]*)', re.ASCII | re.IGNORECASE)
_SUPPORTED = {"1", "1.0"}


@reads_request
async def require_version(request: Request) -> None:
    """Accept no version, or several of which at least one is supported. Raises `UnsupportedVersion`."""
    header = "accept" if request.method in {"GET", "HEAD"} else "content-type"
    wanted = set(_versions(",".join(request.headers.getlist(header))))
    if wanted and not wanted & _SUPPORTED:
        raise UnsupportedVersion


def _versions(header: str) -> Iterator[str]:
    for media_range in _RANGE.findall(header):
        media_type, _, _ = media_range.partition(";")
        if ascii_lower(media_type.strip()) in _VERSIONED:
            yield from _VERSION.findall(media_range)
