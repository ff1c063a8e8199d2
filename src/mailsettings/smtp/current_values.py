"""What a setting is now, beside what it should be; never a secret."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from mailsettings.domain.connection_test import SettingValue, SuggestedChange
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.setting import Setting

_DISPLAYED_VALUES: Mapping[Setting, Callable[[MailServer], SettingValue | None]] = {
    Setting.HOST: lambda server: server.host,
    Setting.PORT: lambda server: server.port,
    Setting.SECURITY: lambda server: server.security,
    Setting.SENDER_ADDRESS: lambda server: server.sender.address,
    Setting.USERNAME: lambda server: getattr(server.authentication, "username", None),
    Setting.CLIENT_ID: lambda server: getattr(server.authentication, "client_id", None),
    Setting.TENANT: lambda server: getattr(server.authentication, "tenant", None),
}


def add_current_value(change: SuggestedChange, server: MailServer) -> SuggestedChange:
    """*change* with the value that *server* has, where that may be shown."""
    value_in = _DISPLAYED_VALUES.get(change.setting)
    return replace(change, current=value_in(server)) if value_in else change
