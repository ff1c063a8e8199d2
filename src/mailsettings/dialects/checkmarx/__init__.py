"""The SMTP settings of Checkmarx Access Control's REST API, and its token endpoint.

A collection with integer ids, lenient parsing, errors as `{"message"}`.
Source: the vendor's page "Access Control (REST) API - SMTP Settings", and three of its clients.
"""

from collections.abc import Iterable, Mapping

from mailsettings.dialects.checkmarx import routes, token
from mailsettings.dialects.checkmarx.addressing import DISCOVERY, KEYS, TOKEN, match_path
from mailsettings.dialects.checkmarx.errors import STYLE
from mailsettings.domain.access import ALL_MAIL_SERVER_PERMISSIONS, Permission
from mailsettings.web.dialect import Dialect

_GRANTS = {
    # "Sast > System Configuration > Manage System Settings", which the vendor requires for every operation.
    "manage-system-settings": ALL_MAIL_SERVER_PERMISSIONS,
    "view-mail-settings": frozenset({Permission.MAIL_SERVERS_READ}),
}


def _token_claims(grants: Iterable[str]) -> Mapping[str, object]:
    """Return the two lists of permissions that the vendor's clients decode."""
    return {
        "sast-permissions": [grant for grant in grants if grant in _GRANTS],
        "access-control-permissions": [],
    }


CHECKMARX = Dialect(
    name="checkmarx",
    title="Checkmarx Access Control style",
    description="The SMTP settings of the Checkmarx Access Control REST API, version 1.0, and its token endpoint.",
    routers=[routes.router, token.router],
    errors=STYLE,
    match_path=match_path,
    grants=_GRANTS,
    tags={
        routes.TAG: "Read, change and test the SMTP settings, as the Checkmarx Access Control API does.",
        token.TAG: "Exchange a name and a secret for an access token, which all APIs of this service accept.",
    },
    token_claims=_token_claims,
    token_path=TOKEN,
    public_paths=[DISCOVERY, KEYS],
)
