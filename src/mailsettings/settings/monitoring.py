"""Settings of the scheduled checks and of the webhook that reports them."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from mailsettings.domain.values import is_secure_url
from mailsettings.settings.base import PREFIX, Seconds, SettingsGroup


class MonitoringSettings(SettingsGroup):
    """Monitoring and its webhook."""

    monitoring_interval: Seconds | None = Field(
        default=None,
        description="Time between two checks of a stored mail server, which send no mail: `15m`, `2h` or seconds, "
        "60 or more; by default there are no checks. See [monitoring](docs/monitoring.md).",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="URL that receives an event when a mail server fails or recovers, or when a certificate or "
        "secret expires soon; `https`, or `http` on loopback.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Key that signs webhook events: 24 to 64 bytes, as `whsec_` and base64 or as text; two keys "
        "separated by a space while the receiver changes over.",
    )
    webhook_ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust for the webhook, instead of those of the "
        "system.",
    )

    metrics_server_names: bool = Field(
        default=False,
        description="Whether the metrics have a line with the name and the host of each mail server; by default "
        "they have only ids.",
    )

    @field_validator("webhook_url")
    @classmethod
    def _require_secure_url(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None and not is_secure_url(url.get_secret_value()):
            raise ValueError("it must be an https address, or an http one of loopback")
        if url is not None and info.data.get("monitoring_interval") is None:
            raise ValueError(f"without {PREFIX}MONITORING_INTERVAL it has no effect; set both")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = info.data.get("webhook_url")
        if url and not secret:
            raise ValueError(f"it is required with {PREFIX}WEBHOOK_URL")
        if secret and not url:
            raise ValueError(f"without {PREFIX}WEBHOOK_URL it has no effect; set both")
        return secret
