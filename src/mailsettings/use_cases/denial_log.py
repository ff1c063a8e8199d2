"""Records denied requests in the audit log, without letting them fill it.

A denied request costs a stranger nothing, but an entry costs a write to the disk. So the number of entries per
minute is limited for strangers at one address, for all strangers together, and for each known caller. Further
denials go to the program's log only. Each process counts for itself.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.login_throttling import client_network
from mailsettings.store.database import SQLStore

WINDOW_SECONDS = 60
MAX_ENTRIES_PER_CALLER = 30
"""Entries per minute for strangers at one address, or for one known caller."""
MAX_ENTRIES_FOR_STRANGERS = 300
"""Entries per minute for all strangers. Known callers have their own limit, so strangers cannot hide their
entries."""

_log = logging.getLogger(__name__)


class DenialLog:
    """Writes denials to the audit log, up to the limits."""

    def __init__(self, store: SQLStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._window = -1
        self._strangers: Counter[str] = Counter()
        self._known: Counter[str] = Counter()

    async def note(
        self,
        actor: str | None,
        origin: Origin,
        action: Action,
        target: str | None,
        details: Mapping[str, object],
    ) -> None:
        """Write an entry within the limits. An unavailable database does not change the response."""
        if self._has_room(actor, origin):
            record = AuditRecord(actor, origin, action, target, AuditOutcome.REFUSED, details)
            try:
                async with self._store.writing() as work:
                    await work.audit.append(record)
            except StoreUnavailable:
                _log.warning("A refusal could not be written to the audit log.")
        else:
            _log.warning("refused without an audit entry: %s from %s", action, origin.address)

    def _has_room(self, actor: str | None, origin: Origin) -> bool:
        # Fixed windows need one counter per caller, and nothing that outlives the minute.
        window = int(self._clock() // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._strangers.clear()
            self._known.clear()
        counted, name = self._known, actor
        if name is None:
            counted, name = self._strangers, client_network(origin.address or "")
        if counted[name] >= MAX_ENTRIES_PER_CALLER or (
            actor is None and counted.total() >= MAX_ENTRIES_FOR_STRANGERS
        ):
            return False
        counted[name] += 1
        return True
