"""How a command knows that the service of its data directory runs with `serve --dev`: by a file in it.

Without that file a command would refuse to test what the service tests.
"""

import logging
from pathlib import Path

from mailsettings import settings
from mailsettings.settings import Settings

DEV_MARK_FILE = "started-with-dev"
_DEV_MARK_TEXT = (
    "The last `mailsettings serve` here ran with --dev, so commands follow its rules. See MAILSETTINGS_DEV.\n"
)
_log = logging.getLogger("mailsettings.server")


def mark_dev_mode(chosen: Settings) -> None:
    """Leave the file where *chosen* says dev, and remove it where it does not."""
    path = _mark_path(chosen)
    try:
        if not chosen.dev:
            path.unlink(missing_ok=True)
        elif chosen.data_dir.is_dir():
            path.touch(mode=0o600)  # as everything in the data directory
            path.write_text(_DEV_MARK_TEXT, encoding="utf-8")
    except OSError as error:
        _log.warning("%s cannot be changed, so commands may not know of --dev: %s.", path, error.strerror)


def read_settings() -> Settings:
    """Return the settings in the environment; without MAILSETTINGS_DEV in it, dev is what the last start was."""
    chosen = settings.read()
    if "dev" not in chosen.model_fields_set and _mark_path(chosen).exists():
        settings.choose(dev=True)
        chosen = settings.read()
    return chosen


def _mark_path(chosen: Settings) -> Path:
    return chosen.data_dir / DEV_MARK_FILE
