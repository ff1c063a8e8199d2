"""What the use cases need of stored mail servers; see `ports.py`."""

from collections.abc import Sequence
from typing import Protocol

from mailsettings.domain.history import MailServerVersion
from mailsettings.domain.mail_server import ListedMailServer, MailServer, StoredMailServer


class MailServerReads(Protocol):
    """The stored mail servers. The *default* one is what an API that knows a single server shows."""

    async def listed(self, after: int, limit: int) -> Sequence[ListedMailServer]:
        """At most *limit* of them behind id *after*, by id, as a list shows them."""
        ...

    async def find(self, server_id: int) -> StoredMailServer | None:
        """The one with this id."""
        ...

    async def find_default(self) -> StoredMailServer | None:
        """The default one."""
        ...

    async def versions(self, server_id: int) -> Sequence[MailServerVersion]:
        """What the server was before its last change, newest first; its removal is one."""
        ...

    async def removed_default(self) -> MailServerVersion | None:
        """The removal of the default server that was removed last, if one was."""
        ...


class MailServers(MailServerReads, Protocol):
    """The same, to be changed."""

    async def add(self, server: MailServer, by: str | None = None, through: str | None = None) -> int:
        """Store a new one, *by* whom and *through* which API, under an id never used before.

        It is the default if there is no other.
        """
        ...

    async def replace(self, server_id: int, server: MailServer, by: str | None = None) -> None:
        """Store *server* in place of what is there, counting its version up."""
        ...

    async def put_back(
        self, removal: MailServerVersion, server: MailServer, by: str | None = None, through: str | None = None
    ) -> None:
        """Store *server* under the id of one that was removed; as the default if that was and none is."""
        ...

    async def delete(self, server_id: int, by: str | None = None) -> None:
        """Remove it; another server does not become the default by that."""
        ...

    async def forget_versions(self, server_id: int, keep_count: int) -> None:
        """Keep the *but* newest of what the server was."""
        ...

    async def forget_removed(self, keep_count: int) -> None:
        """Keep the *but* newest of what servers were that are no more."""
        ...
