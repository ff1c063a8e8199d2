"""A value that never appears in a repr, an f-string, the arguments of a traceback or a pickle."""

import secrets
from collections.abc import Callable
from typing import NoReturn, Self

LABEL_BYTES = 6
MASK = "*" * 10
"""The text that replaces a secret in output; long enough for schemas that require 8 characters."""


class Secret:
    """A password or client secret; only `reveal` returns its text.

    The audit log shows its `label`: a random text, new for each secret that a caller gives, even if the secret is
    the same as before, so that the label confirms no guess. The label is stored with the secret.
    """

    __slots__ = ("_open", "is_sealed", "label")

    def __init__(self, text: str) -> None:
        self._open: Callable[[], str] = lambda: text
        self.is_sealed = False
        self.label = secrets.token_hex(LABEL_BYTES)

    @classmethod
    def sealed(cls, opener: Callable[[], str], label: str) -> Self:
        """Return a stored secret that is decrypted at each use; *opener* may raise `SecretUnreadable`."""
        secret = cls("")
        secret._open = opener
        secret.is_sealed = True
        secret.label = label
        return secret

    def reveal(self) -> str:
        """Return the text. Raises `SecretUnreadable` if it is sealed and cannot be decrypted."""
        return self._open()

    def __repr__(self) -> str:
        return MASK

    # Equality decrypts both, so code on the way of a request compares labels with `is_same_secret`.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")


def is_same_secret(stored: Secret | None, new: Secret | None) -> bool:
    """Return whether *new* is *stored* itself; comparing their texts instead would confirm a right guess."""
    if stored is None or new is None:
        return stored is new
    return stored.label == new.label


def is_mask(text: str) -> bool:
    """Return whether *text* is the content of a masked form field, and so cannot be a secret."""
    return bool(text) and (set(text) == {"*"} or set(text) == {"•"})
