"""The settings as they take effect, each with its source, for people to read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from mailsettings.domain.service import EffectiveSetting, SettingSource, SettingValue
from mailsettings.settings.base import PREFIX
from mailsettings.settings.model import Settings, noted_sources

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def effective_settings(settings: Settings, shown: Mapping[str, str]) -> Sequence[EffectiveSetting]:
    """Return all settings, in the order of the documents.

    *shown* has texts in place of values that would be left out as secrets, by the names of the fields.
    """
    noted = noted_sources()
    return [_effective(settings, name, shown, noted) for name in Settings.model_fields]


def _effective(
    settings: Settings, name: str, shown: Mapping[str, str], noted: Mapping[str, SettingSource]
) -> EffectiveSetting:
    value = getattr(settings, name)
    is_given = name in settings.model_fields_set
    is_secret = isinstance(value, SecretStr) or Settings.model_fields[name].annotation in _SECRETS
    return EffectiveSetting(
        f"{PREFIX}{name}".upper(),
        shown[name] if name in shown else None if is_secret else _plain(value),
        is_secret=is_secret and name not in shown,
        is_set=name in shown
        or (value is not None and (not isinstance(value, SecretStr) or bool(value.get_secret_value()))),
        source=noted.get(name, SettingSource.ENVIRONMENT) if is_given else SettingSource.DEFAULT,
        description=_LINK.sub(r"\1", str(Settings.model_fields[name].description)).replace("`", ""),
    )


_SECRETS = (SecretStr, SecretStr | None)


def _plain(value: object) -> SettingValue:
    match value:
        case None | bool() | int() | float():
            return value
        case tuple():
            return [_text(part) for part in value]
        case _:
            return _text(value)


def _text(value: object) -> str:
    if isinstance(value, tuple):  # a pair of a claim and a permission
        return "=".join(map(str, value))
    text = str(value.absolute() if isinstance(value, Path) else value)
    # User name and password, up to the last @ because a password may contain any character; and the query.
    return re.sub(r"\?.*", "?…", re.sub(r"(?<=://).*@", "", text)) if "://" in text else text
