"""All settings."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import Field

from mailsettings.settings.identity import IdentitySettings
from mailsettings.settings.monitoring import MonitoringSettings
from mailsettings.settings.server import ServerSettings
from mailsettings.settings.smtp import SMTPSettings
from mailsettings.settings.storage import StorageSettings


class Settings(MonitoringSettings, IdentitySettings, SMTPSettings, ServerSettings, StorageSettings):
    """Every group, the last one first in the documents; and what is seen of us from outside."""

    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#@]+$",
        description="Where OpenTelemetry traces are sent to, by OTLP over HTTP, such as `http://collector:4318`; "
        "needs the extra `tracing`; by default there are none.",
    )
    log_format: Literal["json", "text"] = Field(default="json", description="`json` or `text`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )
    dev: bool = Field(
        default=False,
        description="As `serve --dev`: readable logs; connection tests may reach loopback and any port.",
    )

    @property
    def tested_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that are open to connection tests beyond the rule."""
        loopback = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
        return (*self.smtp_allowed_networks, *loopback) if self.dev else self.smtp_allowed_networks

    @property
    def tested_ports(self) -> frozenset[int] | None:
        """The ports that are open to connection tests; None for any."""
        return None if self.dev else frozenset(self.smtp_allowed_ports)
