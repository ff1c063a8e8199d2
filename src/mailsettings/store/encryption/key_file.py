"""The file of encryption keys, and the keys of a running program, which follow the file without a restart.

The file is text: each line holds a key, 32 bytes in base64, the newest last. The last key seals, all of them open.
Text after a `#` is a comment; comments and empty lines stay when a key is added or dropped.

The word `bound` after a key means that this key seals secrets together with their destination and opens no others.
Version 0.1.0 bound a secret to its row alone: an attacker with write access to the database and an old copy of it
could put such a secret back next to another host. So `mailsettings key encryption reseal` marks the keys after it
has resealed everything, and new keys are marked from the start. The mark is in this file, because an old copy of
the database would bring back a mark in the database together with the secret.

The file is either the service's own (`DATA_DIR/sealing-keys`, readable by its owner only) or given: a file of
another system, mounted here, which the service reads and never writes. A given file may be readable by its group,
because Kubernetes leaves root as the owner of a mounted secret and assigns it to the group of the pod (`fsGroup`);
a service that does not run as root can read it only through that group. No other user may read it, and the group
may not write it. Such mounts are symbolic links into a directory that is swapped as a whole; the service follows
the links, so it sees a swap as another inode.

Older versions kept one key of 32 raw bytes in `DATA_DIR/sealing-key`. Where no key file exists, that file counts
as a key file with one key; the first rotation copies the key into the key file and keeps the old file.
"""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mailsettings.store import private_file
from mailsettings.store.encryption.sealing import KEY_BYTES, Sealer, key_id
from mailsettings.store.private_file import FileVersion, KeyFileUnusable

_HEADER = (
    "# What secrets are sealed with: a key a line, the newest last. Keep a copy, apart from the database's.\n"
)
_MARK = "bound"


class KeyFileContent(NamedTuple):
    """The keys in a file, the newest last; `bound` has the ids of those that are marked."""

    mark: FileVersion
    keys: Sequence[bytes]
    bound: frozenset[str]


class ReadOnlyKeyFile(KeyFileUnusable):
    """The key file is given, so the program never writes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is never written by mailsettings: add the line that `mailsettings key encryption new` prints "
            "at its end, wherever it is distributed from."
        )


def new_key_line() -> str:
    """Return a line with a new key, for the end of a key file."""
    key = secrets.token_bytes(KEY_BYTES)
    return f"{b64encode(key).decode()} {_MARK} # {key_id(key)}, made {datetime.now(UTC):%Y-%m-%d}\n"


class KeyFile:
    """The key file at *path*; *before* is the path of the single key of older versions.

    A *given* file is read-only.
    """

    def __init__(self, path: Path, *, before: Path | None = None, given: bool = False) -> None:
        self.path = path
        self.given = given
        self._before = before

    def mark(self) -> FileVersion | None:
        """Return a value that changes with the file; None without a file. Raises `KeyFileUnusable`."""
        found = private_file.file_version(self.path)
        return found if found or self._before is None else private_file.file_version(self._before)

    def create(self) -> None:
        """Create a key file with one new key if there is no file. Raises `KeyFileUnusable`."""
        if not self.given and self.mark() is None:
            private_file.create(self.path, f"{_HEADER}{new_key_line()}".encode())

    def read(self) -> KeyFileContent:
        """Return the keys and the version of their file. Raises `KeyFileUnusable`."""
        found, text = self._text()
        keys = [key for line in text if (key := self._key(line)) is not None]
        if not keys:
            raise KeyFileUnusable(f"{self.path} holds no key.")
        bound = {key_id(key) for line in text if (key := self._key(line)) is not None and _is_marked(line)}
        return KeyFileContent(found, keys, frozenset(bound))

    def bind(self) -> None:
        """Mark every key: it then opens only bound secrets. Raises `KeyFileUnusable`."""
        self._require_ours()
        _, text = self._text()
        self._write([line if self._key(line) is None or _is_marked(line) else _marked(line) for line in text])

    def add(self) -> str:
        """Add a new key as the newest and return its id. Raises `KeyFileUnusable`."""
        self._require_ours()
        _, text = self._text()
        line = new_key_line()
        self._write([*text, line])
        return key_id(self._key(line) or b"")

    def remove(self, dropped: str) -> None:
        """Remove the key with this id from the key file and from the file of older versions.

        Raises `KeyFileUnusable`.
        """
        self._require_ours()
        _, text = self._text()
        self._remove_before(dropped)
        self._write([line for line in text if self._id(line) != dropped])

    def _remove_before(self, dropped: str) -> None:
        if self._before is None or private_file.file_version(self._before) is None:
            return
        if key_id(private_file.read(self._before)[1]) == dropped:
            private_file.remove(self._before)

    def _require_ours(self) -> None:
        if self.given:
            raise ReadOnlyKeyFile(self.path)

    def _write(self, text: Sequence[str]) -> None:
        like = self.path if self.path.exists() else self._before
        # Replace the target of a symbolic link; the link itself belongs to an administrator and stays.
        private_file.replace(
            self.path.resolve(), "".join(f"{line.rstrip()}\n" for line in text).encode(), like or self.path
        )

    def _text(self) -> tuple[FileVersion, Sequence[str]]:
        if (
            self._before is not None
            and private_file.file_version(self.path) is None
            and private_file.file_version(self._before) is not None
        ):
            found, key = private_file.read(self._before)
            if len(key) != KEY_BYTES:
                raise KeyFileUnusable(f"{self._before} must hold {KEY_BYTES} bytes.")
            return found, [_HEADER, f"{b64encode(key).decode()} # {key_id(key)}\n"]
        found, content = private_file.read(self.path, group=self.given)
        try:
            return found, content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise KeyFileUnusable(
                f"{self.path} is no text; see `mailsettings key encryption new` for a line."
            ) from None

    def _id(self, line: str) -> str | None:
        key = self._key(line)
        return None if key is None else key_id(key)

    def _key(self, line: str) -> bytes | None:
        encoded, *marks = line.partition("#")[0].split() or [""]
        if not encoded:
            return None
        try:
            key = b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES or marks not in ([], [_MARK]):
            raise KeyFileUnusable(f"{self.path} holds a line that is not a key of {KEY_BYTES} bytes in base64.")
        return key


def _is_marked(line: str) -> bool:
    return line.partition("#")[0].split()[1:] == [_MARK]


def _marked(line: str) -> str:
    key, hash_sign, comment = line.partition("#")
    return f"{key.strip()} {_MARK} {hash_sign}{comment}"


def key_file(data_dir: Path, given: Path | None) -> KeyFile:
    """Return the *given* file, or else that of the service in *data_dir*; nothing is read yet."""
    if given is not None:
        return KeyFile(given, given=True)
    return KeyFile(data_dir / "sealing-keys", before=data_dir / "sealing-key")


class LiveKeys:
    """The keys in *file*, which is read again after it changed; it may be missing until the first use."""

    def __init__(self, file: KeyFile) -> None:
        self.file = file
        self._seen: tuple[FileVersion, Sealer] | None = None

    def known(self) -> Sealer:
        """Return a sealer with the keys that were read last. Raises `KeyFileUnusable` if none were read yet."""
        return self._seen[1] if self._seen else self.newest()

    def newest(self) -> Sealer:
        """Return a sealer with the current keys; read the file if it changed. Raises `KeyFileUnusable`."""
        seen = self._seen
        if seen is None or self.file.mark() != seen[0]:
            ring = self.file.read()
            seen = self._seen = ring.mark, Sealer(*ring.keys, later=self._later, bound=ring.bound)
        return seen[1]

    def add(self) -> str:
        """Add a key that seals from now on and return its id. Raises `KeyFileUnusable`."""
        return self.file.add()

    def remove(self, key_id: str) -> str | None:
        """Remove a key; return the path of a given file, from which the administrator has to remove it.

        Raises `KeyFileUnusable`.
        """
        if key_id not in self.newest().key_ids:
            return None
        if self.file.given:
            return str(self.file.path)
        self.file.remove(key_id)
        return None

    def bind(self) -> str | None:
        """Mark every key: it then opens only bound secrets. Return the path of a given file that lacks marks.

        Raises `KeyFileUnusable`.
        """
        ring = self.file.read()
        if ring.bound == {key_id(key) for key in ring.keys}:
            return None
        if self.file.given:
            return str(self.file.path)
        self.file.bind()
        return None

    def _later(self) -> Sealer:
        """Return a sealer for a secret with an unknown key; an unreadable file leaves the known keys."""
        try:
            return self.newest()
        except KeyFileUnusable:
            return self.known()


KeySource = LiveKeys | Sealer
"""Where keys come from: `LiveKeys`, which follow the key file, or a `Sealer` with fixed keys."""
