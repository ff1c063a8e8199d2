"""Settings about checks on schedule, and who is told of them."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mailsettings.domain.syntax import is_secure_url
from mailsettings.settings.base import PREFIX, Seconds, SettingsGroup


class MonitoringSettings(SettingsGroup):
    """The watch and its webhook."""

    recheck_interval: Seconds | None = Field(
        default=None,
        description="How often each stored mail server is checked without sending mail, such as `15m`, `2h` or "
        "seconds, 60 or more; by default never. See [the watch](docs/watch.md).",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Where the watch tells that a mail server fails or works again, or that a certificate or "
        "secret ends; an `https` address, or an `http` one of loopback.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="What signs what the webhook is sent: 24 to 64 bytes, as `whsec_` and base64 or as text; two "
        "with a space between while the receiver changes.",
    )
    webhook_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that the webhook is trusted by, in place of the system's.",
    )

    @field_validator("webhook_url")
    @classmethod
    def _told_securely(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None and not is_secure_url(url.get_secret_value()):
            raise ValueError("it must be an https address, or an http one of loopback")
        if url is not None and info.data.get("recheck_interval") is None:
            raise ValueError(f"without {PREFIX}RECHECK_INTERVAL it means nothing")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = info.data.get("webhook_url")
        if url and not secret:
            raise ValueError(f"with {PREFIX}WEBHOOK_URL it is needed")
        if secret and not url:
            raise ValueError(f"without {PREFIX}WEBHOOK_URL it means nothing")
        return secret
