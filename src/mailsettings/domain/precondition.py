"""What a caller takes to be stored, so that of two who change it at once none undoes the other's change unseen."""

from dataclasses import dataclass

from mailsettings.domain.changed import Changed
from mailsettings.domain.errors import ChangedMeanwhile, StateNamedWeakly
from mailsettings.domain.mail_server import StoredMailServer


@dataclass(frozen=True, slots=True)
class States:
    """Some states of a mail server, see `StoredMailServer.tag`; None for all that there are."""

    listed: frozenset[str] | None = None

    def __contains__(self, stored: StoredMailServer | None) -> bool:
        return stored is not None and (self.listed is None or stored.tag in self.listed)


@dataclass(frozen=True, slots=True)
class Precondition:
    """A change is made only to a server in one of these states, and in none of those (None: nothing is said).

    `weakly` are states that the caller names beside `one_of` without being sure: they are not enough.
    """

    one_of: States | None = None
    none_of: States | None = None
    weakly: States = States(frozenset())

    def require(self, stored: StoredMailServer | None, removed: Changed | None = None) -> None:
        """Raise `ChangedMeanwhile` unless it holds for *stored*; *removed* tells how the last one went.

        Raise `StateNamedWeakly` where *stored* is in a state that is named weakly only.
        """
        meant = self.one_of is None or stored in self.one_of
        if meant and (self.none_of is None or stored not in self.none_of):
            return
        if not meant and stored in self.weakly:
            raise StateNamedWeakly
        if stored is not None:
            raise ChangedMeanwhile(f"it was changed{stored.changed}")
        raise ChangedMeanwhile("there is none" if removed is None else f"it was removed{removed}")


ANYTHING = Precondition()
"""Of callers that do not say what they take to be stored."""
