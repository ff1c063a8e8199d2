"""A value that never shows itself: not in a repr, an f-string, a traceback's arguments or a pickle."""

from collections.abc import Callable
from typing import NoReturn, Self

from mailsettings.domain.errors import SecretUnreadable

MASK = "*" * 10
"""What stands for a secret wherever one has to be shown; long enough for schemas that demand 8 characters."""


class Secret:
    """A password or client secret; `reveal` is the one way to its text."""

    __slots__ = ("_open", "is_sealed")

    def __init__(self, text: str) -> None:
        self._open: Callable[[], str] = lambda: text
        self.is_sealed = False

    @classmethod
    def sealed(cls, opener: Callable[[], str]) -> Self:
        """A secret that is opened only when asked for; *opener* may raise `SecretUnreadable`."""
        secret = cls("")
        secret._open = opener
        secret.is_sealed = True
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


def are_same(one: Secret | None, other: Secret | None) -> bool:
    """Whether both are one secret; one that cannot be read any more is like no other."""
    try:
        return one == other
    except SecretUnreadable:
        return False


def is_mask(text: str) -> bool:
    """Whether *text* is what a masked form field sends back, so cannot be meant as a secret."""
    return bool(text) and (set(text) == {"*"} or set(text) == {"•"})
