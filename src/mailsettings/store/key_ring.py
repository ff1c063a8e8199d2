"""The keys of a running program, which follows their file without a restart."""

from mailsettings.store.encryption.key_file import KeyFile
from mailsettings.store.encryption.sealing import Sealer, key_id
from mailsettings.store.private_file import FileVersion, KeyFileUnusable


class LiveKeys:
    """The keys in *file*, looked at when there is reason to; the file need not exist before that."""

    def __init__(self, file: KeyFile) -> None:
        self.file = file
        self._seen: tuple[FileVersion, Sealer] | None = None

    def known(self) -> Sealer:
        """With the keys as they were last seen. Raises `KeyFileUnusable` when they never were."""
        return self._seen[1] if self._seen else self.newest()

    def newest(self) -> Sealer:
        """With the keys that are in the file now; it is read when it has changed. Raises `KeyFileUnusable`."""
        seen = self._seen
        if seen is None or self.file.mark() != seen[0]:
            ring = self.file.read()
            seen = self._seen = ring.mark, Sealer(*ring.keys, later=self._later, bound=ring.bound)
        return seen[1]

    def add(self) -> str:
        """Add a new key, which seals from now on; its id. Raises `KeyFileUnusable`."""
        return self.file.add()

    def remove(self, key_id: str) -> str | None:
        """Forget a key; the path of the file, if it is not ours and somebody has to do it.

        Raises `KeyFileUnusable`.
        """
        if key_id not in self.newest().key_ids:
            return None
        if self.file.given:
            return str(self.file.path)
        self.file.remove(key_id)
        return None

    def bind(self) -> str | None:
        """Mark every key, as what opens bound secrets alone; the path of a file that is not ours and lacks marks.

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
        """For a secret whose key is not known yet. A file that cannot be read now has nothing to add."""
        try:
            return self.newest()
        except KeyFileUnusable:
            return self.known()
