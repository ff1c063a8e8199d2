"""What the use cases need from the outside, as Protocols; store, smtp and auth satisfy them by shape."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mailsettings.domain.access import Account, Credentials, Principal
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.domain.probe import ProbeReport


class MailServerReads(Protocol):
    """The stored mail servers. The *default* one is what an API that knows a single server shows."""

    async def list(self) -> Sequence[StoredMailServer]:
        """All of them, by id."""
        ...

    async def find(self, server_id: int) -> StoredMailServer | None:
        """The one with this id."""
        ...

    async def find_default(self) -> StoredMailServer | None:
        """The default one."""
        ...


class MailServers(MailServerReads, Protocol):
    """The same, to be changed."""

    async def add(self, server: MailServer) -> int:
        """Store a new one and return its id, never used before; it is the default if there is no other."""
        ...

    async def replace(self, server_id: int, server: MailServer) -> None:
        """Store *server* in place of what is there, counting its version up."""
        ...

    async def delete(self, server_id: int) -> None:
        """Remove it; another server does not become the default by that."""
        ...


class AccountReads(Protocol):
    """Those who can log in here."""

    async def list(self) -> Sequence[Account]:
        """All of them, by name."""
        ...

    async def find(self, name: str) -> Credentials | None:
        """The account of this name, with its password hash."""
        ...


class Accounts(AccountReads, Protocol):
    """The same, to be changed."""

    async def add(self, credentials: Credentials) -> None:
        """Store a new account. Raises `AccountExists`."""
        ...

    async def set_password_hash(self, name: str, password_hash: str) -> None:
        """Raises `AccountNotFound`."""
        ...

    async def remove(self, name: str) -> None:
        """Raises `AccountNotFound`."""
        ...


class View(Protocol):
    """The last committed state."""

    @property
    def mail_servers(self) -> MailServerReads:
        """The mail servers."""
        ...

    @property
    def accounts(self) -> AccountReads:
        """The accounts."""
        ...


class UnitOfWork(Protocol):
    """One transaction."""

    @property
    def mail_servers(self) -> MailServers:
        """The mail servers, as this transaction sees them."""
        ...

    @property
    def accounts(self) -> Accounts:
        """The accounts, as this transaction sees them."""
        ...


class Store(Protocol):
    """Where everything is kept. Both raise `StoreUnavailable` when the database is away."""

    def reading(self) -> AbstractAsyncContextManager[View]:
        """The last committed state; two questions may be answered from two moments."""
        ...

    def writing(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction that is committed, durably, when the block ends without an error; one at a time."""
        ...


class Prober(Protocol):
    """Tests mail servers."""

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        """Connect, secure, log in and send one message to *recipient*; without one, stop before sending.

        Never raises for what the server or the network does; that is what the report is for.
        """
        ...


class PasswordHasher(Protocol):
    """Turns passwords into hashes; both calls are slow by design and do not block the event loop."""

    async def hash(self, password: str) -> str:
        """A new hash of *password*."""
        ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether they fit; as slow for None (no such account) as for a real hash."""
        ...


class TokenVerifier(Protocol):
    """Reads access tokens."""

    async def verify(self, token: str) -> Principal:
        """Who *token* speaks for. Raises `NotAuthenticated`."""
        ...
