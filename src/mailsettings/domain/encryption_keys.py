"""What can be told about the keys that secrets are sealed with, and why one has to stay. No key is in here."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.errors import KeyRefused


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """One key, by its id."""

    key_id: str
    is_current: bool
    """Whether it seals what is stored from now on."""
    is_available: bool
    """Whether we have it; one that the database knows may be missing in our file."""
    secrets: int
    """How many secrets are sealed with it."""


@dataclass(frozen=True, slots=True)
class EncryptionKeyReport:
    """All keys, and the places of the secrets that cannot be opened."""

    keys: Sequence[EncryptionKey]
    unreadable: Sequence[str]


@dataclass(frozen=True, slots=True)
class ResealResult:
    """How many secrets were sealed anew, and the places of those that could not be opened and are as they were.

    `unmarked` is the path of a file of keys that still opens secrets of the first format and is not ours to write.
    """

    count: int = 0
    unreadable: tuple[str, ...] = ()
    unmarked: str | None = None

    def __add__(self, other: "ResealResult") -> "ResealResult":
        return ResealResult(self.count + other.count, self.unreadable + other.unreadable)


class KeyUnknown(KeyRefused):
    """No key has this id."""

    def __init__(self) -> None:
        super().__init__("There is no key of this id; see `mailsettings keys status`.")


class KeyIsCurrent(KeyRefused):
    """It is the key that seals."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id} is the current one; run `mailsettings keys rotate` first.")


class KeyNeeded(KeyRefused):
    """Secrets are sealed with it."""

    def __init__(self, key_id: str, secrets: int) -> None:
        needed = "1 secret needs" if secrets == 1 else f"{secrets} secrets need"
        super().__init__(f"{needed} the key {key_id}; run `mailsettings keys reseal` first.")
