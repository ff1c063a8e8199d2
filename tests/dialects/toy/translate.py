"""Between this API's words and the domain's; pure."""

from collections.abc import Callable

from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    ListedMailServer,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret

from . import schemas as wire

FIELDS = {
    Setting.HOST: "host",
    Setting.PASSWORD: "basicPassword",
    Setting.PORT: "port",
    Setting.SECURITY: "securityProtocol",
    Setting.SENDER_ADDRESS: "fromAddress",
    Setting.SENDER_NAME: "fromName",
    Setting.USERNAME: "username",
}
_SECURITY: dict[wire.SecurityProtocol, ConnectionSecurity] = {
    "NONE": ConnectionSecurity.NONE,
    "STARTTLS": ConnectionSecurity.STARTTLS,
    "SSLTLS": ConnectionSecurity.IMPLICIT_TLS,
}
_PROTOCOLS: dict[str, wire.SecurityProtocol] = {security: name for name, security in _SECURITY.items()}
_INEXPRESSIBLE = frozenset(Setting).difference(FIELDS)


def to_view(server: ListedMailServer) -> dict[str, object]:
    """Return what a GET shows; a patch is merged into the same members."""
    return {
        "id": str(server.id),
        "host": server.host,
        "port": server.port,
        "securityProtocol": _PROTOCOLS[server.security],
        "fromAddress": server.sender_address,
        "fromName": server.sender_name or "",
        # The machine's own login is not expressible here, so it looks like no login.
        "username": "" if server.authentication == AmbientCredentials.kind else server.username or "",
    }


def to_replacement(model: wire.NewEmailConfiguration) -> Replacement:
    """Return what a request wants to store. Without a password the stored one is kept, if the rule allows it."""
    server = MailServer(
        host=model.host.strip(" "),
        port=model.port,
        security=_SECURITY[model.security_protocol],
        sender=Sender(model.from_address, model.from_name or None),
        authentication=_authentication(model),
    )
    omitted = model.basic_password is None and model.username
    return Replacement(server, SecretInput.OMITTED if omitted else SecretInput.GIVEN, _INEXPRESSIBLE)


def merge(patch: wire.EmailConfigurationPatch) -> Callable[[StoredMailServer], Replacement]:
    """Return the change that *patch* makes: the stored configuration as a GET shows it, with the sent members."""
    sent = patch.model_dump(exclude_unset=True, by_alias=True)

    def onto(stored: StoredMailServer) -> Replacement:
        return to_replacement(wire.NewEmailConfiguration.model_validate({**to_view(stored.listed()), **sent}))

    return onto


def _authentication(model: wire.NewEmailConfiguration) -> Authentication:
    password = model.basic_password.get_secret_value() if model.basic_password else ""
    if model.username:
        return PasswordAuthentication(model.username, Secret(password) if password else None)
    if password:
        raise InvalidSetting(Setting.USERNAME, "is required with a password.")
    return NoAuthentication()
