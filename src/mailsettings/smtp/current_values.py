"""What a setting is now, beside what it should be; never a secret."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.probe import Change, Value
from mailsettings.domain.setting import Setting

_SHOWN: Mapping[Setting, Callable[[MailServer], Value | None]] = {
    Setting.HOST: lambda server: server.host,
    Setting.PORT: lambda server: server.port,
    Setting.SECURITY: lambda server: server.security,
    Setting.SENDER_ADDRESS: lambda server: server.sender.address,
    Setting.USERNAME: lambda server: getattr(server.authentication, "username", None),
    Setting.CLIENT_ID: lambda server: getattr(server.authentication, "client_id", None),
    Setting.TENANT: lambda server: getattr(server.authentication, "tenant", None),
}


def with_current_value(change: Change, server: MailServer) -> Change:
    """*change* with the value that *server* has, where that may be shown."""
    value_in = _SHOWN.get(change.setting)
    return replace(change, current=value_in(server)) if value_in else change
