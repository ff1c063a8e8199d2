"""The settings of this program itself, read from the environment here and nowhere else.

One module for each group of them, `model.py` for the reading.
"""

from mailsettings.settings.base import PREFIX, SettingsInvalid
from mailsettings.settings.model import Settings, choose, count_together_in, metrics_directory, read
from mailsettings.settings.storage import MIN_PASSWORD_LENGTH

__all__ = [
    "MIN_PASSWORD_LENGTH",
    "PREFIX",
    "Settings",
    "SettingsInvalid",
    "choose",
    "count_together_in",
    "metrics_directory",
    "read",
]
