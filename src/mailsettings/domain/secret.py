"""A value that never shows itself: not in a repr, an f-string, a traceback's arguments or a pickle."""

import secrets
from collections.abc import Callable
from typing import NoReturn, Self

LABEL_BYTES = 6
MASK = "*" * 10
"""What stands for a secret wherever one has to be shown; long enough for schemas that demand 8 characters."""


class Secret:
    """A password or client secret; `reveal` is the one way to its text.

    `label` is what the audit log shows: random, new for each secret that a caller gives, even if the text is the
    same as before, so that it confirms no guess. It stays with the secret for as long as the secret is stored.
    """

    __slots__ = ("_open", "is_sealed", "label")

    def __init__(self, text: str) -> None:
        self._open: Callable[[], str] = lambda: text
        self.is_sealed = False
        self.label = secrets.token_hex(LABEL_BYTES)

    @classmethod
    def sealed(cls, opener: Callable[[], str], label: str) -> Self:
        """A stored secret, opened only when asked for; *opener* may raise `SecretUnreadable`."""
        secret = cls("")
        secret._open = opener
        secret.is_sealed = True
        secret.label = label
        return secret

    def reveal(self) -> str:
        """The text itself. Raises `SecretUnreadable` when it is sealed and does not open."""
        return self._open()

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")


def is_same_secret(stored: Secret | None, new: Secret | None) -> bool:
    """Whether *new* is *stored* itself. Their texts are not compared: that would confirm a right guess."""
    if stored is None or new is None:
        return stored is new
    return stored.label == new.label


def is_mask(text: str) -> bool:
    """Whether *text* is what a masked form field sends back, so cannot be meant as a secret."""
    return bool(text) and (set(text) == {"*"} or set(text) == {"•"})
