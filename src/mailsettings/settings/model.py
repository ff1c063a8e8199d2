"""All settings, read from the environment, and written back for the processes that this one starts."""

import ipaddress
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mailsettings.settings.base import PREFIX, SettingsInvalid
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


_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def read() -> Settings:
    """The settings in the environment. Raises `SettingsInvalid` for a name or value that is not taken."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsInvalid(f"{name} is not a setting of mailsettings; see docs/settings.md.")
    try:
        return Settings()
    except ValidationError as invalid:
        raise SettingsInvalid(_error_sentence(invalid.errors()[0])) from None


def choose(**chosen: object) -> None:
    """Let this process and those it starts read these values, given by options; None is for not given."""
    for name, value in chosen.items():
        if value is not None:
            os.environ[f"{PREFIX}{name}".upper()] = str(value)


def metrics_directory() -> Path | None:
    """Where the processes of this server count together, by the variable that Prometheus' library has for it."""
    directory = os.environ.get(_METRICS_DIRECTORY)
    return Path(directory) if directory else None


def count_together_in(directory: Path) -> None:
    """Let the processes that this one starts count together."""
    os.environ[_METRICS_DIRECTORY] = str(directory)


def _error_sentence(finding: Any) -> str:
    name = f"{PREFIX}{finding['loc'][0]}".upper()
    return f"{name} is not valid: {finding['msg'].removeprefix('Value error, ')}."
