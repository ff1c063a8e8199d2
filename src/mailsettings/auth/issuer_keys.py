"""An issuer's keys, kept and renewed so that it is asked rarely and nobody waits for it long.

Five minutes old, they are renewed before they are used again, so a key that the issuer has taken back is good for
no longer. While the issuer is away they stay good for a day: tokens that it signed before do not outlive that.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from mailsettings.auth.fetching import FETCH_TIMEOUT_SECONDS, FetchFailed
from mailsettings.auth.jwks import KeySet
from mailsettings.domain.errors import IdentityUnavailable

REFRESH_AFTER_SECONDS = 300
KEPT_SECONDS = 24 * 3600
MIN_REFRESH_INTERVAL_SECONDS = 30
"""Between two fetches, whatever tokens are shown."""
MIN_FIRST_FETCH_INTERVAL_SECONDS = 5
"""The same as long as there are no keys, and nobody can come in."""

Result = TypeVar("Result")
_log = logging.getLogger("mailsettings.issuer")


class CachedIssuerKeys:
    """The keys that *fetch* gets; it blocks, and one call of it at a time is all that is ever under way."""

    def __init__(self, fetch: Callable[[], KeySet], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = -math.inf
        self._tried = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._wait_until = -math.inf

    async def current(self) -> KeySet:
        """The keys, at most five minutes old unless the issuer is away. Raises `IdentityUnavailable`."""
        if self._age() >= REFRESH_AFTER_SECONDS:
            await self._renew()
        return self._kept()

    async def renewed(self) -> KeySet:
        """The keys after asking again, if it is time for that. Raises `IdentityUnavailable`."""
        await self._renew()
        if self._tried > self._fetched:  # the issuer is away, so a key that we lack may be one of its newer ones
            raise IdentityUnavailable
        return self._kept()

    def _age(self) -> float:
        return self._clock() - self._fetched

    def _kept(self) -> KeySet:
        if self._keys is None or self._age() >= KEPT_SECONDS:
            raise IdentityUnavailable
        return self._keys

    async def _renew(self) -> None:
        """Fetch, or join the fetch under way; not if the last one was a moment ago. Failing is no error here."""
        if self._fetching is None:
            if self._clock() - self._tried < (
                MIN_FIRST_FETCH_INTERVAL_SECONDS if self._keys is None else MIN_REFRESH_INTERVAL_SECONDS
            ):
                return
            self._tried = self._clock()
            self._wait_until = asyncio.get_running_loop().time() + FETCH_TIMEOUT_SECONDS
            self._fetching = asyncio.create_task(self._fetch_once())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._wait_until):
                await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        begun = self._tried
        try:
            self._keys = await _run_on_daemon_thread(self._fetch)
            self._fetched = begun
        except FetchFailed as failed:
            _log.warning("The keys of the OpenID Connect issuer were not fetched. %s", failed)
        finally:
            self._fetching = None


async def _run_on_daemon_thread(call: Callable[[], Result]) -> Result:
    """The result of *call*. Not an executor's thread: others would wait for it, and so would the program's end."""
    outcome: Future[Result] = Future()
    outcome.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
            outcome.set_exception(error)

    threading.Thread(target=work, name="issuer-keys", daemon=True).start()
    return await asyncio.wrap_future(outcome)
