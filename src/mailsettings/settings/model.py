"""All settings: read from the environment, and written back for the processes that this one starts."""

import ipaddress
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError

from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.domain.service import SettingSource
from mailsettings.settings.base import PREFIX, SettingsInvalid
from mailsettings.settings.identity import IdentitySettings
from mailsettings.settings.log_style import LogStyleSettings
from mailsettings.settings.monitoring import MonitoringSettings
from mailsettings.settings.outgoing import OutgoingSettings
from mailsettings.settings.relay import RelaySettings
from mailsettings.settings.secret_files import SUFFIX, in_files, read_secret_files
from mailsettings.settings.server import ServerSettings
from mailsettings.settings.smtp import SMTPSettings
from mailsettings.settings.storage import StorageSettings


class Settings(
    LogStyleSettings,
    RelaySettings,
    MonitoringSettings,
    OutgoingSettings,
    IdentitySettings,
    SMTPSettings,
    ServerSettings,
    StorageSettings,
):
    """Every group, the last one first in the documents; and the level of the log, and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#@]+$",
        description="URL that receives OpenTelemetry traces by OTLP over HTTP, such as `http://collector:4318`; "
        "needs the extra `tracing`. By default no traces are sent.",
    )

    @property
    def tested_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that connection tests may reach in addition to those that the egress policy opens."""
        loopback = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
        return (*self.smtp_allowed_networks, *loopback) if self.dev else self.smtp_allowed_networks

    @property
    def tested_ports(self) -> frozenset[int] | None:
        """Ports that connection tests may use; None for any."""
        return None if self.dev else frozenset(self.smtp_allowed_ports)

    @property
    def relay_listeners(self) -> tuple[RelayListener, ...]:
        """The relay's listeners; for development a single one on loopback, unless others are set."""
        chosen = self.relay_listen
        if self.dev and "relay_listen" not in self.model_fields_set:
            chosen = (RelayListener(ListenerKind.STARTTLS, ListenAddress("127.0.0.1", 2587)),)
        return (*chosen, *self.relay_old_tls)

    @property
    def relay_certificate(self) -> tuple[Path, Path] | None:
        """The files of the relay's certificate and key, by default those of the HTTP server."""
        for certificate, key in (
            (self.relay_tls_certificate, self.relay_tls_key),
            (self.tls_certificate, self.tls_key),
        ):
            if certificate is not None and key is not None:
                return certificate, key
        return None


RENAMED = {
    "ANSWER_SECONDS": "RESPONSE_TIMEOUT_SECONDS",
    "BODY_SECONDS": "BODY_TIMEOUT_SECONDS",
    "CLIENT_SECRET": "TOKEN_CLIENT_SECRET",
    "DRAIN_SECONDS": "DRAIN_TIMEOUT_SECONDS",
    "GRACE_SECONDS": "GRACE_TIMEOUT_SECONDS",
    "HEADERS_SECONDS": "HEADERS_TIMEOUT_SECONDS",
    "HISTORY_VERSIONS": "MAX_HISTORY_VERSIONS",
    "KEEP_ALIVE_SECONDS": "KEEP_ALIVE_TIMEOUT_SECONDS",
    "RECHECK_INTERVAL": "MONITORING_INTERVAL",
    "REQUESTS_AT_ONCE_EACH": "MAX_CONCURRENT_REQUESTS_PER_CLIENT",
    "SEALING_KEYS_FILE": "ENCRYPTION_KEYS_FILE",
    "SMTP_CLEARTEXT_LOGIN": "SMTP_ALLOW_CLEARTEXT_LOGIN",
    "SMTP_DEADLINE_SECONDS": "SMTP_TEST_TIMEOUT_SECONDS",
    "SMTP_TESTS_AT_ONCE": "SMTP_MAX_CONCURRENT_TESTS",
    "SMTP_TESTS_AT_ONCE_EACH": "SMTP_MAX_CONCURRENT_TESTS_PER_CLIENT",
    "SMTP_TESTS_PER_MINUTE_EACH": "SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT",
}
"""Old names of settings and the new ones, both without the prefix."""

COMMAND_LINE = frozenset({"CA_FILE", "CLIENT_ID", "CLIENT_SECRET_FILE", "OUTPUT", "TOKEN", "TOKEN_FILE", "URL"})
"""Names that belong to the command line, which reads them itself, without the prefix."""

SECRETS = tuple(
    name for name, field in Settings.model_fields.items() if field.annotation in {SecretStr, SecretStr | None}
)
"""The fields that may be in files too."""
MAX_SENTENCES = 5

_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def read() -> Settings:
    """Return the settings in the environment. Raises `SettingsInvalid` for an unknown name or invalid value."""
    files = (f"{name}{SUFFIX}" for name in SECRETS)
    known = {f"{PREFIX}{name}".upper() for name in (*Settings.model_fields, *COMMAND_LINE, *files)}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsInvalid(_unknown_sentence(name))
    try:
        return Settings(**read_secret_files(SECRETS))
    except ValidationError as invalid:
        # Not the original, which has the values. A wrong setting often makes others wrong, so a few are enough.
        first = {error["loc"][0]: error for error in reversed(invalid.errors())}  # of each setting
        sentences = [_error_sentence(error) for error in reversed(first.values())]
        raise SettingsInvalid("\n".join(sentences[:MAX_SENTENCES])) from None


def override(source: SettingSource = SettingSource.OPTION, /, **chosen: object) -> None:
    """Set values that *source* gave, for this process and those it starts; None means that an option is absent."""
    for name, value in chosen.items():
        if value is not None:
            os.environ[f"{PREFIX}{name}".upper()] = str(value)
            _note_source(name, source)


_SOURCES = "_MAILSETTINGS_SOURCES"
"""The variable that names the settings which `override` set, for the processes that this one starts."""


def noted_sources() -> Mapping[str, SettingSource]:
    """Return the sources of settings that `override` set or files have, by the names of their fields."""
    pairs = (part.partition("=") for part in os.environ.get(_SOURCES, "").split(","))
    noted = {name: SettingSource(source) for name, _, source in pairs if source in set(SettingSource)}
    return {**dict.fromkeys(in_files(SECRETS), SettingSource.FILE), **noted}


def _note_source(name: str, source: SettingSource) -> None:
    sources = {**noted_sources(), name: source}  # those of files are found again
    os.environ[_SOURCES] = ",".join(f"{each}={source}" for each, source in sources.items())


def metrics_directory() -> Path | None:
    """Return the directory of the shared counters, named by the variable of the Prometheus library."""
    directory = os.environ.get(_METRICS_DIRECTORY)
    return Path(directory) if directory else None


def set_metrics_directory(directory: Path) -> None:
    """Let this process and those it starts share their counters."""
    os.environ[_METRICS_DIRECTORY] = str(directory)


def forget_metrics_directory() -> None:
    """Let this process and those it starts count for themselves."""
    os.environ.pop(_METRICS_DIRECTORY, None)


def _unknown_sentence(name: str) -> str:
    if new := RENAMED.get(name.upper().removeprefix(PREFIX)):
        return f"{name} is now {PREFIX}{new}; set {PREFIX}{new} instead."
    return f"{name} is not a setting of mailsettings; see docs/settings.md."


def _error_sentence(finding: Any) -> str:
    name = f"{PREFIX}{finding['loc'][0]}".upper()
    return f"{name} is not valid: {finding['msg'].removeprefix('Value error, ')}."
