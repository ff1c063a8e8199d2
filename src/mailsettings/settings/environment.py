"""From the environment to settings, and back for the processes that this one starts."""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mailsettings.settings.base import PREFIX, SettingsInvalid
from mailsettings.settings.model import Settings

_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def read() -> Settings:
    """The settings in the environment. Raises `SettingsInvalid` for a name or value that is not taken."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsInvalid(f"{name} is not a setting of mailsettings; see the table in the README.")
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
