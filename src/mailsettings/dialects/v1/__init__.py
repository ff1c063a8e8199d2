"""The API of this service itself, `/v1`: everything that the service can do, in its own words.

JSON in snake_case, problem details (RFC 9457), and one module or folder for each resource.
"""

from dataclasses import replace

from mailsettings.dialects.v1 import audit_log, keys, me, messages, presets, problems, service, token
from mailsettings.dialects.v1.accounts import routes as accounts
from mailsettings.dialects.v1.connection_tests import routes as connection_tests
from mailsettings.dialects.v1.devices import routes as devices
from mailsettings.dialects.v1.devices import testing as device_tests
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
        mail_servers.router,
        default_routes.router,
        version_routes.router,
        connection_tests.router,
        presets.router,
        me.router,
        accounts.accounts,
        accounts.clients,
        devices.router,
        device_tests.router,
        messages.router,
        audit_log.router,
        keys.router,
        service.open_router,
        service.router,
    ],
    errors=replace(problems.STYLE, path_styles=_STYLES),
    match_path=paths_below("/v1"),
    grants={
        "manage-accounts": frozenset({Permission.ACCOUNTS_MANAGE}),
        "manage-devices": frozenset({Permission.DEVICES_MANAGE}),
        "manage-keys": frozenset({Permission.KEYS_MANAGE}),
        "manage-system-settings": ALL_MAIL_SERVER_PERMISSIONS,
        "test-mail-servers": frozenset({Permission.MAIL_SERVERS_TEST}),
        "view-audit-log": frozenset({Permission.AUDIT_READ}),
        "view-mail-settings": frozenset({Permission.MAIL_SERVERS_READ}),
        "view-messages": frozenset({Permission.MESSAGES_READ}),
    },
    tags={
        token.TAG: "Exchange a name and a secret for an access token, which all APIs of this service accept.",
        mail_servers.TAG: "Read and change mail servers, choose the default, and go back to earlier versions.",
        connection_tests.TAG: "Prove that settings work: connect, log in, and send a mail on request.",
        presets.TAG: "Read what to enter for well-known providers, and what to switch on there first.",
        me.TAG: "Read your permissions, change your password, and end your sessions.",
        accounts.ACCOUNTS_TAG: "Manage accounts of people, who log in with a password.",
        accounts.CLIENTS_TAG: "Manage accounts of machines, which log in with a secret.",
        devices.TAG: "Manage the printers, scanners and programs that may send through the relay.",
        messages.TAG: "Read which messages devices submitted, and how they ended.",
        audit_log.TAG: "Read who changed, tested and logged in to what, and when.",
        keys.TAG: "Manage the keys that encrypt secrets and sign access tokens.",
        service.TAG: "Read facts about this service: versions, settings, monitoring.",
    },
    token_path=token.PATH,
)
