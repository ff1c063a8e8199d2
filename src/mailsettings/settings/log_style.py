"""The settings that choose the format of the log, which is needed even where other settings cannot be read."""

from typing import Literal

from pydantic import Field, ValidationError

from mailsettings.settings.base import SettingsGroup

LogStyle = Literal["json", "text"]


class LogStyleSettings(SettingsGroup):
    """The format of the log."""

    log_format: LogStyle = Field(default="json", description="`json` or `text`.")
    dev: bool = Field(
        default=False,
        description="Same as `serve --dev`: readable logs; connection tests may reach loopback and any port.",
    )

    @property
    def log_style(self) -> LogStyle:
        """The format of the log in effect."""
        return "text" if self.dev else self.log_format


def read_log_style() -> LogStyle:
    """Return the format of the log, whether or not other settings are valid; `json` if its own are not."""
    try:
        return LogStyleSettings().log_style
    except ValidationError:
        return "json"
