"""Facts about the encryption keys, and the reasons why a key cannot be dropped; no key itself is in here."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.errors import KeyRefused


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """Facts about one encryption key."""

    key_id: str
    is_current: bool
    """Whether this key seals new secrets."""
    is_available: bool
    """Whether the key file has it; a key that the database knows may be missing there."""
    secrets: int
    """The number of secrets that are sealed with it."""


@dataclass(frozen=True, slots=True)
class EncryptionKeyReport:
    """All keys, and the locations of the secrets that cannot be decrypted."""

    keys: Sequence[EncryptionKey]
    unreadable: Sequence[str]


@dataclass(frozen=True, slots=True)
class ResealResult:
    """The number of resealed secrets, and the locations of unreadable secrets, which are unchanged.

    `unmarked` is the path of a read-only key file that still opens secrets of the first format.
    """

    count: int = 0
    unreadable: tuple[str, ...] = ()
    unmarked: str | None = None

    def __add__(self, other: "ResealResult") -> "ResealResult":
        return ResealResult(self.count + other.count, self.unreadable + other.unreadable)


class KeyUnknown(KeyRefused):
    """No encryption key has this id."""

    def __init__(self) -> None:
        super().__init__("There is no key of this id; see `mailsettings key encryption status`.")


class KeyIsCurrent(KeyRefused):
    """The key seals new secrets."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id} is the current one; run `mailsettings key encryption rotate` first.")


class KeyNeeded(KeyRefused):
    """Stored secrets need the key."""

    def __init__(self, key_id: str, secrets: int) -> None:
        needed = "1 secret needs" if secrets == 1 else f"{secrets} secrets need"
        super().__init__(f"{needed} the key {key_id}; run `mailsettings key encryption reseal` first.")
