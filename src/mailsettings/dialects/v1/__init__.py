"""The API of this service itself, `/v1`: everything that the service can do, in its own words.

JSON in snake_case, problem details (RFC 9457), and one module or folder for each resource.
"""

from dataclasses import replace

from mailsettings.dialects.v1 import problems, token, version
from mailsettings.dialects.v1.connection_tests import routes as connection_tests
from mailsettings.dialects.v1.mail_servers import default_routes, version_routes
from mailsettings.dialects.v1.mail_servers import routes as mail_servers
from mailsettings.domain.access import ALL_MAIL_SERVER_PERMISSIONS, Permission
from mailsettings.web.dialect import Dialect
from mailsettings.web.normalization import paths_below

_STYLES = {
    token.PATH: token.STYLE,
    connection_tests.GIVEN: replace(problems.STYLE, fields=problems.FIELDS_BELOW_SETTINGS),
}
V1 = Dialect(
    name="v1",
    title="mail-settings",
    description="The API of this service: mail servers with all their settings, connection tests, and management.",
    routers=[
        token.router,
        version.router,
        mail_servers.router,
        default_routes.router,
        version_routes.router,
        connection_tests.router,
    ],
    errors=replace(problems.STYLE, path_styles=_STYLES),
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
        mail_servers.TAG: "Read and change mail servers, choose the default, and go back to earlier versions.",
        connection_tests.TAG: "Prove that settings work: connect, log in, and send a mail on request.",
    },
    token_path=token.PATH,
)
