"""From settings to what sends traces."""

from mailsettings.settings import PREFIX, Settings, SettingsInvalid
from mailsettings.telemetry.tracing import Tracing, TracingNotInstalled, require_installed, send_traces_to


def create_tracing(settings: Settings) -> Tracing | None:
    """What sends traces, if they are wanted. Raises `SettingsInvalid`."""
    require_tracing(settings)
    return send_traces_to(settings.otlp_endpoint) if settings.otlp_endpoint else None


def require_tracing(settings: Settings) -> None:
    """Raises `SettingsInvalid` if traces are wanted that cannot be sent."""
    if settings.otlp_endpoint is not None:
        try:
            require_installed()
        except TracingNotInstalled as missing:
            raise SettingsInvalid(f"{PREFIX}OTLP_ENDPOINT is set. {missing}") from None
