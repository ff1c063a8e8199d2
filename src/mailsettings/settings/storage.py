"""Settings of the database, the keys, the first account and the history."""

from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator

from mailsettings.domain.access import MIN_PASSWORD_LENGTH
from mailsettings.settings.base import SettingsGroup


class StorageSettings(SettingsGroup):
    """What is stored, and where."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("mailsettings", appauthor=False),
        description="Directory of the embedded database and the key files; by default the user data directory of "
        "the platform.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="`sqlite:///path` or `postgresql://user:password@host/name`; by default SQLite in the "
        "data directory. [Databases](docs/databases.md) has all forms.",
    )
    database_pool_size: int = Field(
        default=15,
        ge=1,
        le=1000,
        description="Connections to PostgreSQL that one process opens for transactions, at most; one more notices "
        "changes.",
    )
    database_pooler: Literal["none", "transaction"] = Field(
        default="none",
        description="`transaction` behind a pooler that may give each transaction another session, such as "
        "PgBouncer with `pool_mode=transaction`; see [databases](docs/databases.md).",
    )
    encryption_keys_file: Path | None = Field(
        default=None,
        description="File of the keys that seal stored secrets, such as a mounted secret; the service never "
        "writes it. By default `sealing-keys` in the data directory.",
    )
    max_history_versions: int = Field(
        default=50,
        ge=0,
        le=10000,
        description="Earlier versions kept of each mail server, with sealed secrets, at most; and removed mail "
        "servers kept, at most.",
    )
    admin_password: SecretStr | None = Field(
        default=None,
        description="Password of the account `admin`, which the first start creates; by default a random one, "
        "which is printed once, or with a log in JSON is in a file that the log names.",
    )

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value()) < MIN_PASSWORD_LENGTH:
            raise ValueError(f"must have at least {MIN_PASSWORD_LENGTH} characters")
        return password

    @property
    def database(self) -> str:
        """The URL of the database, without a driver's name; for PostgreSQL with the pool and the pooler."""
        # A file that a mounted secret is in often ends with a line end.
        given = self.database_url.get_secret_value().strip()
        if not given:
            return f"sqlite:///{self.data_dir.absolute() / 'mailsettings.db'}"
        if not given.startswith(("postgres://", "postgresql://")):
            return given
        if not {"database_pooler", "database_pool_size"} & self.model_fields_set:
            return given
        session = f"mailsettings_pooler={self.database_pooler}&mailsettings_pool_size={self.database_pool_size}"
        return f"{given}{'&' if '?' in given else '?'}{session}"

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of ours rather than a server."""
        return self.database.startswith("sqlite:")
