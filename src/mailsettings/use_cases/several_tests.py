"""Connection tests of several stored mail servers, within the limits of their caller.

Each test counts towards the limits and is in the audit log like a single test. With an idempotency key each server
is tested once under a key of its own, so a repeated request returns the stored reports and tests the others.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import ProbeProgress, ProbeReport
from mailsettings.domain.errors import MailServerDisabled, MailServerNotFound, TooManyProbes
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.mail_server_list import MailServerFilter
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.idempotency import find_result
from mailsettings.use_cases.lease import shielded
from mailsettings.use_cases.login import Authenticator

_PER_PAGE = 500
_CLAIMED = "several tests"
"""The remembered result of the whole request: only the tests below it have reports."""

ServerListener = Callable[[StoredMailServer, ProbeProgress | ProbeReport], None]
"""Called with the events of each server, and with its report at the end."""


class RunSeveralTests:
    """Tests all mail servers that meet a filter, some at a time."""

    def __init__(
        self,
        store: SQLStore,
        tests: RunConnectionTests,
        limits: ConnectionTestLimits,
        authentication: Authenticator,
    ) -> None:
        self._store = store
        self._tests = tests
        self._authentication = authentication
        # The caller keeps one place for a test of something else.
        self._workers = max(1, min(limits.max_concurrent_per_caller, limits.max_concurrent) - 1)

    async def servers(
        self, caller: Principal, wanted: MailServerFilter, idempotency_key: IdempotencyKey | None = None
    ) -> Sequence[StoredMailServer]:
        """Return the mail servers that `run` must test, by id; the caller needs no permission to read them.

        Raises `PermissionDenied`, and `IdempotencyKeyReused` if the key was used for another request.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        if idempotency_key is not None:
            await self._claim(caller, idempotency_key)
        return [stored async for stored in self._matching(wanted)]

    async def run(
        self,
        caller: Principal,
        servers: Sequence[StoredMailServer],
        recipient: str | None,
        listener: ServerListener,
        idempotency_key: IdempotencyKey | None = None,
    ) -> None:
        """Test each of *servers*; wait while a limit is reached, and leave out a server that is removed meanwhile.

        It may take hours, so each test requires the current permissions of the caller. A cancellation begins no
        further test; with an idempotency key the running tests end first, because a repeated request needs their
        reports. Raises `PermissionDenied`, `NotAuthenticated`, `IdempotencyError`.
        """
        left = iter(servers)

        async def work() -> None:
            for stored in left:
                await self._test(caller, stored, recipient, listener, idempotency_key)

        workers = [asyncio.create_task(work()) for _ in range(self._workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                if not worker.cancelling():  # a second cancellation would not let the running test end
                    worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _test(
        self,
        caller: Principal,
        stored: StoredMailServer,
        recipient: str | None,
        listener: ServerListener,
        idempotency_key: IdempotencyKey | None,
    ) -> None:
        while True:
            await self._tests.has_capacity(caller)
            caller = await self._authentication.confirmed(caller)
            test = self._tests.stored(
                caller,
                stored.id,
                recipient,
                _key_of(idempotency_key, stored.id),
                lambda event: listener(stored, event),
            )
            try:
                report = await (test if idempotency_key is None else shielded(test))
            except TooManyProbes:  # another request took the place
                continue
            except (MailServerNotFound, MailServerDisabled):
                return
            listener(stored, report)
            return

    async def _claim(self, caller: Principal, idempotency_key: IdempotencyKey) -> None:
        async with self._store.writing() as work:
            if await find_result(work.idempotency, caller, idempotency_key, str) is None:
                await work.idempotency.remember(caller.name, idempotency_key, _CLAIMED)

    async def _matching(self, wanted: MailServerFilter) -> AsyncIterator[StoredMailServer]:
        after, page = 0, _PER_PAGE
        while page == _PER_PAGE:
            async with self._store.reading() as view:
                found = await view.mail_servers.matching(wanted, after, _PER_PAGE)
            for stored in _enabled(found):
                yield stored
            page, after = len(found), found[-1].id if found else after


def _enabled(found: Sequence[StoredMailServer]) -> Iterator[StoredMailServer]:
    return (stored for stored in found if stored.enabled)


def _key_of(whole: IdempotencyKey | None, server_id: int) -> IdempotencyKey | None:
    """Return the key of the test of one server, from the key of the *whole* request."""
    if whole is None:
        return None
    key = hashlib.sha256(f"{whole.key}\n{server_id}".encode()).hexdigest()
    return IdempotencyKey(key, whole.request + f"\n{server_id}".encode())
