"""Settings about what is kept, and where."""

from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator

from mailsettings.settings.base import SettingsGroup

MIN_PASSWORD_LENGTH = 8


class StorageSettings(SettingsGroup):
    """The database, the keys, the first account, the past."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("mailsettings", appauthor=False),
        description="Where the embedded database and the key files are; by default the platform's user data "
        "directory.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="`sqlite:///path` or `postgresql://user:password@host/name`; by default SQLite in the "
        "data directory.",
    )
    sealing_keys_file: Path | None = Field(
        default=None,
        description="File of the keys that secrets are sealed with, such as a mounted secret; it is never "
        "written. By default `sealing-keys` in the data directory.",
    )
    history_versions: int = Field(
        default=50,
        ge=0,
        le=10000,
        description="How many earlier versions of each setting are kept, their secrets sealed; the same number of "
        "all that were removed.",
    )
    admin_password: SecretStr | None = Field(
        default=None,
        description="Password of the account `admin` that the first start makes; by default a random one, "
        "printed once.",
    )

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value()) < MIN_PASSWORD_LENGTH:
            raise ValueError(f"must have at least {MIN_PASSWORD_LENGTH} characters")
        return password

    @property
    def database(self) -> str:
        """The URL of the database, without a driver's name."""
        # A file that a mounted secret is in often ends with a line end.
        return (
            self.database_url.get_secret_value().strip()
            or f"sqlite:///{self.data_dir.absolute() / 'mailsettings.db'}"
        )

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of ours rather than a server."""
        return self.database.startswith("sqlite:")
