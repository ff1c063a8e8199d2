"""Settings of requests to other services: the proxy and the authorities to trust."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from mailsettings.settings.base import SettingsGroup


class OutgoingSettings(SettingsGroup):
    """Requests to issuers, the token authority, the webhook and the collector of traces."""

    outgoing_proxy: SecretStr | None = Field(
        default=None,
        description="HTTP proxy for `https` requests to issuers, the token authority, the webhook and the "
        "collector, as `http://proxy:3128` or `http://user:password@proxy:3128`. `HTTPS_PROXY` has no effect.",
    )
    outgoing_ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust for these requests, instead of those of the "
        "system. `MAILSETTINGS_OIDC_CA_FILE` and `MAILSETTINGS_WEBHOOK_CA_FILE` have precedence.",
    )

    @field_validator("outgoing_proxy")
    @classmethod
    def _is_a_proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None and not _is_proxy(proxy.get_secret_value()):
            raise ValueError("it must be like http://proxy:3128")
        return proxy


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False
    return parts.scheme == "http" and has_place and parts.path in {"", "/"} and not parts.query and url.isascii()
