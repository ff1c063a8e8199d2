"""Whether there is a database. Most commands work on an existing one, and make no new one by mistake."""

from mailsettings.settings import PREFIX, Settings
from mailsettings.store import engine, migrations
from mailsettings.store.migrations import SchemaError


class DatabaseMissing(SchemaError):
    """The settings lead to no database of this program; `str()` says where it looked and what decides that."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"There is no mail-settings database {engine.location(settings.database)}. {_location_hint(settings)} "
            "To make a new database, run: mailsettings migrate"
        )


def require_database(settings: Settings) -> None:
    """Raise `DatabaseMissing` unless a migration was ever applied to the database; nothing is made."""
    if not migrations.exists(settings.database):
        raise DatabaseMissing(settings)


def _location_hint(settings: Settings) -> str:
    """The variable that led there; where the default did, both that could lead elsewhere."""
    url, directory = f"{PREFIX}DATABASE_URL", f"{PREFIX}DATA_DIR"
    if settings.database_url.get_secret_value().strip():
        return f"{url} decides which database is used; check it."
    if "data_dir" in settings.model_fields_set:
        return f"{directory} decides where it is ({url} is not set); check it."
    return f"Neither {directory} nor {url} is set; set the one that the service runs with."
