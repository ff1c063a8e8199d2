"""What a caller takes to be stored, so that of two who change it at once none undoes the other's change unseen."""

from dataclasses import dataclass

from mailsettings.domain.changed import Revision
from mailsettings.domain.errors import PreconditionFailed, WeakPrecondition
from mailsettings.domain.mail_server import StoredMailServer


@dataclass(frozen=True, slots=True)
class StateTags:
    """Some states of a mail server, see `StoredMailServer.tag`; None for all that there are."""

    listed: frozenset[str] | None = None

    def __contains__(self, stored: StoredMailServer | None) -> bool:
        return stored is not None and (self.listed is None or stored.tag in self.listed)


@dataclass(frozen=True, slots=True)
class Precondition:
    """A change is made only to a server in one of these states, and in none of those (None: nothing is said).

    `weak` are states that the caller names beside `one_of` without being sure: they are not enough.
    """

    one_of: StateTags | None = None
    none_of: StateTags | None = None
    weak: StateTags = StateTags(frozenset())

    def require(self, stored: StoredMailServer | None, removed: Revision | None = None) -> None:
        """Raise `PreconditionFailed` unless it holds for *stored*; *removed* tells how the last one went.

        Raise `WeakPrecondition` where *stored* is in a state that is named weakly only.
        """
        meant = self.one_of is None or stored in self.one_of
        if meant and (self.none_of is None or stored not in self.none_of):
            return
        if not meant and stored in self.weak:
            raise WeakPrecondition
        if stored is not None:
            raise PreconditionFailed(f"it was changed{stored.revision}")
        raise PreconditionFailed("there is none" if removed is None else f"it was removed{removed}")


NO_PRECONDITION = Precondition()
"""Of callers that do not say what they take to be stored."""
