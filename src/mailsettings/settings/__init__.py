"""The settings of this program itself, read from the environment here and nowhere else.

One module for each group of them, `model.py` for the reading.
"""

from mailsettings.settings.base import PREFIX, SettingsInvalid
from mailsettings.settings.model import Settings, choose, count_together_in, metrics_directory, read
from mailsettings.settings.storage import SHORTEST_PASSWORD

__all__ = [
    "PREFIX",
    "SHORTEST_PASSWORD",
    "Settings",
    "SettingsInvalid",
    "choose",
    "count_together_in",
    "metrics_directory",
    "read",
]
