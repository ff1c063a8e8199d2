"""Secrets that are in files: named by a variable that ends with `_FILE`, or credentials of systemd.

Variables of a process are shown to its user and to debuggers, and containers' tools print them; files have modes.
See systemd.exec(5), "Credentials", for `$CREDENTIALS_DIRECTORY`.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mailsettings.settings.base import PREFIX, SettingsInvalid

SUFFIX = "_FILE"
MAX_BYTES = 64 * 1024


def read_secret_files(fields: Iterable[str]) -> Mapping[str, Any]:
    """Return the secrets of *fields* that are in files. Raises `SettingsInvalid`."""
    return {name: SecretStr(_content(name, path)) for name in fields if (path := _file_of(name)) is not None}


def in_files(fields: Iterable[str]) -> frozenset[str]:
    """Return the names of those *fields* that have their values in files."""
    return frozenset(name for name in fields if _file_of(name) is not None)


def _file_of(name: str) -> Path | None:
    variable = f"{PREFIX}{name}".upper()
    value, named = os.environ.get(variable), os.environ.get(variable + SUFFIX)
    if value and named:
        raise SettingsInvalid(f"{variable} and {variable}{SUFFIX} are both set; unset one of them.")
    if named:
        return Path(named)
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / variable if credentials and not value else None
    return credential if credential is not None and credential.is_file() else None


def _content(name: str, path: Path) -> str:
    """Return the text of the file without the line end that editors add."""
    variable = f"{PREFIX}{name}".upper()
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode().rstrip("\r\n")
    except OSError as error:
        raise SettingsInvalid(f"{variable}{SUFFIX}: cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{variable}{SUFFIX}: {path} is not a text in UTF-8.") from error
    if not text or len(text) > MAX_BYTES:
        raise SettingsInvalid(f"{variable}{SUFFIX}: {path} is empty or longer than {MAX_BYTES} bytes.")
    return text
