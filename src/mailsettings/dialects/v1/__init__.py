"""The API of this service itself, `/v1`: everything that the service can do, in its own words.

JSON in snake_case, problem details (RFC 9457), and one module or folder for each resource.
"""

from dataclasses import replace

from mailsettings.dialects.v1 import problems, token, version
from mailsettings.dialects.v1.mail_servers import routes as mail_servers
from mailsettings.domain.access import ALL_MAIL_SERVER_PERMISSIONS, Permission
from mailsettings.web.dialect import Dialect
from mailsettings.web.normalization import paths_below

V1 = Dialect(
    name="v1",
    title="mail-settings",
    description="The API of this service: mail servers with all their settings, connection tests, and management.",
    routers=[token.router, version.router, mail_servers.router],
    errors=replace(problems.STYLE, path_styles={token.PATH: token.STYLE}),
    match_path=paths_below("/v1"),
    grants={
        "manage-accounts": frozenset({Permission.ACCOUNTS_MANAGE}),
        "manage-devices": frozenset({Permission.DEVICES_MANAGE}),
        "manage-keys": frozenset({Permission.KEYS_MANAGE}),
        "manage-system-settings": ALL_MAIL_SERVER_PERMISSIONS,
        "test-mail-servers": frozenset({Permission.MAIL_SERVERS_TEST}),
        "view-mail-settings": frozenset({Permission.MAIL_SERVERS_READ}),
        "view-messages": frozenset({Permission.MESSAGES_READ}),
    },
    tags={
        token.TAG: "Exchange a name and a secret for an access token, which all APIs of this service accept.",
        version.TAG: "Read facts about this service.",
        mail_servers.TAG: "Read and change mail servers.",
    },
    token_path=token.PATH,
)
