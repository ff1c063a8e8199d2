"""Caches what nearly every request reads; `freshness.py` proves that the values are current."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from mailsettings.domain.access import Credentials, Moment
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.device import DeviceRef
from mailsettings.domain.mail_server import ListedMailServer, StoredMailServer
from mailsettings.domain.naming import MailServerRef
from mailsettings.domain.trusted_networks import TrustedNetworks
from mailsettings.store.freshness import CachedValues, Freshness, Version
from mailsettings.store.relay.devices import DeviceCredentials
from mailsettings.store.transaction import Transaction

_BYTES_PER_ROW = 1024
_BYTES_PER_VALUE = 4096

Reading = Callable[[], AbstractAsyncContextManager[Transaction]]


class ReadCache:
    """Mail servers, the first page of their list, accounts, and what a login of a device needs.

    Each value is the last committed value, but two values may be from two moments; see `SQLStore.reading` for one.
    With a *moment*, all reads of one request cost one question to the database.

    *reading* opens a snapshot, *reading_single* a cheaper transaction for a single statement.
    """

    def __init__(self, freshness: Freshness, reading_single: Reading, reading: Reading) -> None:
        self._in_snapshots = freshness.in_snapshots
        self._reading_single = reading_single
        self._reading = reading if self._in_snapshots else reading_single
        self._servers = CachedValues(freshness, self._load_server, _size_of_server)
        self._pages = CachedValues(freshness, self._load_page, _size_of_page)
        self._accounts = CachedValues(freshness, self._load_account, _size_of_any)
        self._devices = CachedValues(freshness, self._load_device, _size_of_any)
        self._trusted = CachedValues(freshness, self._load_trusted, _size_of_trusted)

    async def default_mail_server(self, moment: Moment | None = None) -> StoredMailServer | None:
        """Return the mail server that an API which knows a single server shows."""
        return await self._servers.get(None, moment)

    async def mail_server(self, ref: MailServerRef, moment: Moment | None = None) -> StoredMailServer | None:
        """Return the mail server with this id or name."""
        return await self._servers.get(ref, moment)

    async def page(self, after: int, limit: int, moment: Moment | None = None) -> Sequence[ListedMailServer]:
        """Return at most *limit* servers after id *after*, by id; only the first page is cached."""
        if after:
            async with self._reading_single() as work:
                return await work.mail_servers.listed(after, limit)
        return await self._pages.get(limit, moment)

    async def account(self, name: str, moment: Moment | None = None) -> Credentials | None:
        """Return the account of exactly this name, with its password hash."""
        return await self._accounts.get(name, moment)

    async def device(self, ref: DeviceRef, moment: Moment | None = None) -> DeviceCredentials | None:
        """Return the device with this id or name, with the hash of its secret."""
        return await self._devices.get(ref, moment)

    async def trusted_networks(self, moment: Moment | None = None) -> TrustedNetworks:
        """Return the networks that stand for a device, disabled devices included."""
        return await self._trusted.get(None, moment)

    async def _load_server(self, ref: MailServerRef | None) -> tuple[StoredMailServer | None, Version | None]:
        async with self._reading_single() as work:
            return await work.mail_servers.versioned(ref)

    async def _load_page(self, limit: int) -> tuple[Sequence[ListedMailServer], Version | None]:
        async with self._reading() as work:
            version = await work.data_version() if self._in_snapshots else None
            return tuple(await work.mail_servers.listed(0, limit)), version

    async def _load_account(self, name: str) -> tuple[Credentials | None, Version | None]:
        async with self._reading_single() as work:
            return await work.accounts.versioned(name)

    async def _load_device(self, ref: DeviceRef) -> tuple[DeviceCredentials | None, Version | None]:
        async with self._reading_single() as work:
            return await work.devices.versioned(ref)

    async def _load_trusted(self, _: None) -> tuple[TrustedNetworks, Version | None]:
        async with self._reading() as work:
            version = await work.data_version() if self._in_snapshots else None
            return TrustedNetworks(await work.devices.trusting()), version


def _size_of_any(_: object) -> int:
    return _BYTES_PER_VALUE


def _size_of_trusted(networks: TrustedNetworks) -> int:
    return _BYTES_PER_VALUE + networks.size * _BYTES_PER_ROW


def _size_of_server(stored: StoredMailServer | None) -> int:
    trust = stored.server.trust if stored else None
    return _BYTES_PER_VALUE + (len(trust.pem) if isinstance(trust, CustomTrust) else 0)


def _size_of_page(servers: Sequence[ListedMailServer]) -> int:
    return _BYTES_PER_VALUE + len(servers) * _BYTES_PER_ROW
