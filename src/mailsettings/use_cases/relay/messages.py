"""Reads the message log for a principal."""

from collections.abc import Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.message_log import NO_MESSAGE_FILTER, LoggedMessage, MessageFilter
from mailsettings.store.database import SQLStore

MESSAGES_PER_PAGE = 500


class ReadMessages:
    """Reads which messages devices submitted."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    async def page(
        self,
        caller: Principal,
        wanted: MessageFilter = NO_MESSAGE_FILTER,
        before: str | None = None,
        limit: int = MESSAGES_PER_PAGE,
    ) -> Sequence[LoggedMessage]:
        """Return at most *limit* messages of *wanted*, the newest first; with *before*, those that follow this id.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.MESSAGES_READ)
        async with self._store.reading() as view:
            return await view.messages.page(wanted, before, limit)
