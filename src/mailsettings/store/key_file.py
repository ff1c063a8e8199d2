"""Files that hold a key: made once, whole, for their owner's eyes only."""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from mailsettings.store.sealing import KEY_BYTES


class KeyFileUnusable(Exception):
    """A key file cannot be used as it is; `str()` is one sentence."""


def read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of *path*, made by *make* where there is no such file. Raises `KeyFileUnusable`.

    The file appears under its name whole, so that two programs that start together end up with one key.
    """
    try:
        if not path.exists():
            _create(path, make())
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileUnusable(f"{path} can be read by others than its owner; chmod it to 600.")
        return path.read_bytes()
    except OSError as error:
        raise KeyFileUnusable(f"{path} cannot be used: {error.strerror}.") from None


def sealing_key(path: Path) -> bytes:
    """The key that secrets are sealed with. Raises `KeyFileUnusable`."""
    key = read_or_create(path, lambda: secrets.token_bytes(KEY_BYTES))
    if len(key) != KEY_BYTES:
        raise KeyFileUnusable(f"{path} must hold {KEY_BYTES} bytes.")
    return key


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, does not replace the key of a program that was quicker.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
