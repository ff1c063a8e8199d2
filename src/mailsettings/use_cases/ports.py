"""What the use cases need from the outside, as Protocols; store, smtp and auth satisfy them by shape."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mailsettings.domain.access import Account, Credentials, IssuedToken, TokenClaims
from mailsettings.domain.audit_log import AuditChain, AuditEntry, AuditHead, AuditRecord
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.use_cases.agreed_ports import ProbeAdmissionReads, ProbeAdmissions, RepeatReads, Repeats
from mailsettings.use_cases.login_ports import (
    KnownNeighbourhoodReads,
    KnownNeighbourhoods,
    LoginFailureReads,
    LoginFailures,
)
from mailsettings.use_cases.mail_server_ports import MailServerReads, MailServers


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

    async def set_password(self, credentials: Credentials) -> None:
        """Store another password hash, with its stamp. Raises `AccountNotFound`."""
        ...

    async def set_grants(self, name: str, grants: Iterable[str]) -> None:
        """Raises `AccountNotFound`."""
        ...

    async def remove(self, name: str) -> None:
        """Raises `AccountNotFound`."""
        ...


class SealedKeyReads(Protocol):
    """Keys of ours by name."""

    async def named(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Name and text of each key whose name begins with *prefix*, oldest first; of those that open."""
        ...


class SealedKeys(SealedKeyReads, Protocol):
    """The same, to be changed."""

    async def add(self, name: str, text: str) -> None:
        """Keep a new key."""
        ...

    async def remove(self, name: str) -> bool:
        """Whether there was one of this name."""
        ...


class AuditReads(Protocol):
    """The audit log."""

    async def chain(self) -> AuditChain | None:
        """What its hashes are computed with; None before the first entry."""
        ...

    async def head(self) -> AuditHead | None:
        """What is written down about the last entry."""
        ...

    async def entries(self, after: int, limit: int, since: str = "") -> Sequence[AuditEntry]:
        """At most *limit* entries behind number *after*, none of them before *since* (see `timestamp`)."""
        ...


class AuditLog(Protocol):
    """The same, to be written to."""

    async def append(self, record: AuditRecord) -> AuditEntry:
        """Write *record* as the next entry, which is returned; it counts when the transaction does."""
        ...

    async def has(self, action: str) -> bool:
        """Whether there is any entry of this kind."""
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

    @property
    def audit(self) -> AuditReads:
        """The audit log."""
        ...

    @property
    def login_failures(self) -> LoginFailureReads:
        """The failed logins."""
        ...

    @property
    def known_networks(self) -> KnownNeighbourhoodReads:
        """The neighbourhoods that accounts log in from."""
        ...

    @property
    def service_keys(self) -> SealedKeyReads:
        """Our keys."""
        ...

    @property
    def idempotency(self) -> RepeatReads:
        """The requests that are to be answered once."""
        ...

    @property
    def probe_admissions(self) -> ProbeAdmissionReads:
        """The connection tests that were let in."""
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

    @property
    def audit(self) -> AuditLog:
        """The audit log; what is appended is committed with the rest."""
        ...

    @property
    def login_failures(self) -> LoginFailures:
        """The failed logins, as this transaction sees them."""
        ...

    @property
    def known_networks(self) -> KnownNeighbourhoods:
        """The neighbourhoods that accounts log in from, as this transaction sees them."""
        ...

    @property
    def service_keys(self) -> SealedKeys:
        """Our keys, as this transaction sees them."""
        ...

    @property
    def idempotency(self) -> Repeats:
        """The requests that are to be answered once, as this transaction sees them."""
        ...

    @property
    def probe_admissions(self) -> ProbeAdmissions:
        """The connection tests that were let in, as this transaction sees them."""
        ...


class Cache(Protocol):
    """What nearly every request reads; each answer is the last committed state."""

    async def default_mail_server(self) -> StoredMailServer | None:
        """The default mail server."""
        ...

    async def account(self, name: str) -> Credentials | None:
        """The account of this name, with its password hash."""
        ...


class Store(Protocol):
    """Where everything is kept. All raise `StoreUnavailable` when the database is away."""

    @property
    def cache(self) -> Cache:
        """What nearly every request reads."""
        ...

    def reading(self) -> AbstractAsyncContextManager[View]:
        """One snapshot of what is committed."""
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
    """Turns passwords into hashes; both calls are slow by design and do not block the event loop.

    Both raise `TooManyLogins` when too many are waiting for them.
    """

    async def hash(self, password: str) -> str:
        """A new hash of *password*."""
        ...

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        """Whether they fit; as slow for None (no such account) as for a real hash.

        Each of *callers* that it is done for has a share of what may be done at once.
        """
        ...


class TokenReader(Protocol):
    """Verifies access tokens."""

    async def read(self, token: str) -> TokenClaims:
        """What *token* says. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        ...


class TokenIssuer(Protocol):
    """Makes access tokens."""

    async def issue(
        self, subject: str, grants: Iterable[str], lifetime_seconds: int, stamp: str | None = None
    ) -> IssuedToken:
        """A token that lets *subject* do what *grants* allow; *stamp* is that of its account, if it has one."""
        ...


class Meter(Protocol):
    """Counts what happens. Nothing here waits or fails, and nobody is named."""

    def probed(self, source: str, report: ProbeReport) -> None:
        """A connection test has ended; *source* is what asked for it, one of a few words of our own."""
        ...

    def login_failed(self, *, delayed: bool) -> None:
        """Somebody did not get in: by a wrong name or secret, or *delayed* because of earlier ones."""
        ...
