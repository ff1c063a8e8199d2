"""The settings of this program itself, read from the environment here and nowhere else.

One module for each group of them, `model.py` for the reading.
"""

from mailsettings.settings.base import PREFIX, SettingsInvalid
from mailsettings.settings.effective import effective_settings
from mailsettings.settings.issuers import IssuerSettings, read_issuers
from mailsettings.settings.log_style import read_log_style
from mailsettings.settings.model import (
    Settings,
    forget_metrics_directory,
    metrics_directory,
    override,
    read,
    set_metrics_directory,
)

__all__ = [
    "PREFIX",
    "IssuerSettings",
    "Settings",
    "SettingsInvalid",
    "effective_settings",
    "forget_metrics_directory",
    "metrics_directory",
    "override",
    "read",
    "read_issuers",
    "read_log_style",
    "set_metrics_directory",
]
