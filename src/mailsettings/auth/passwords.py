"""Password hashes by argon2id, slow on purpose and bounded in memory."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from mailsettings.domain.errors import TooManyLogins

AT_ONCE = 4
"""Hashes computed side by side. Each takes 64 MiB, so that a flood of logins costs 256 MiB and no more."""
WAITING = 60
"""Those that may wait for their turn; the last of them waits for a few seconds."""
BUSY_SECONDS = 5


Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class Argon2Passwords:
    """Hashes and verifies passwords on threads of its own."""

    def __init__(self, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2.from_parameters(RFC_9106_LOW_MEMORY)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._under_way = 0
        # Verified where no account exists, so that an unknown name takes as long as a wrong password.
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        """A new hash of *password*, with its parameters in it. Raises `TooManyLogins`."""
        return await self._on_thread(self._argon2.hash, _bytes(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether they fit; None stands for no account and never fits. Raises `TooManyLogins`."""
        if self._nobodys_hash is None:  # whatever the name, so that the first of them does not stand out
            self._nobodys_hash = await self.hash("nobody's password")
        fits = await self._on_thread(self._fits, password_hash or self._nobodys_hash or "", _bytes(password))
        return fits and password_hash is not None

    def _fits(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _on_thread(self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        if self._under_way >= AT_ONCE + WAITING:
            raise TooManyLogins("Too many logins at once.", BUSY_SECONDS)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _bytes(password: str) -> bytes:
    """Its UTF-8; a lone surrogate, which has none, is nobody's password but not our fault either."""
    return password.encode("utf-8", "surrogatepass")
