"""Paths as ASP.NET takes them: in any case, with doubled slashes, with or without a last one."""

from mailsettings.web.normalization import ascii_lower, segments

PREFIX = "/cxrestapi"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
TOKEN = "/cxrestapi/auth/identity/connect/token"  # noqa: S105  # a path, not a token
DISCOVERY = "/cxrestapi/auth/identity/.well-known/openid-configuration"
KEYS = f"{DISCOVERY}/jwks"

_SPELLINGS = {"smtpsettings": "SMTPSettings"}


def match_path(path: str) -> str | None:
    """*path* as the routes spell it, or None when it is not below `/cxrestapi`."""
    found = segments(ascii_lower(path))
    if found[:1] != segments(PREFIX):
        return None
    return "/" + "/".join(_SPELLINGS.get(segment, segment) for segment in found)
