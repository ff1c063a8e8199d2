"""What all groups of settings have in common."""

from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "MAILSETTINGS_"


class SettingsInvalid(Exception):
    """A setting is unknown or malformed; `str()` names it and does not repeat its value."""


class SettingsGroup(BaseSettings):
    """Some settings. Each field is the environment variable of its name in capitals, with the prefix before it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )
