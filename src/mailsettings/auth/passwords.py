"""Password hashes by argon2id, slow on purpose and bounded in memory."""

from collections.abc import Collection

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from mailsettings.auth.hashing_queue import HashingQueue

AT_ONCE = 4
"""Hashes computed side by side. Each takes 64 MiB, so that a flood of logins costs 256 MiB and no more."""
AT_ONCE_EACH = 2
"""Of these, for one account or from one address."""
MAX_WAITING_HASHES = 60
"""Those that may wait for their turn; the last of them waits for a few seconds."""
PLACES_EACH = 16
"""Running and waiting, for one account or from one address."""


class Argon2Passwords:
    """Hashes and verifies passwords on threads of its own."""

    def __init__(self, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2.from_parameters(RFC_9106_LOW_MEMORY)
        self._queue = HashingQueue(AT_ONCE, AT_ONCE_EACH, AT_ONCE + MAX_WAITING_HASHES, PLACES_EACH)
        # Verified where no account exists, so that an unknown name takes as long as a wrong password.
        self._dummy_hash: str | None = None

    async def hash(self, password: str) -> str:
        """A new hash of *password*, with its parameters in it. Raises `TooManyLogins`."""
        return await self._queue.run((), self._argon2.hash, _encode(password))

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        """Whether they fit; None stands for no account and never fits. Raises `TooManyLogins`.

        Each of *callers* has a share of what is computed and waits at once.
        """
        if self._dummy_hash is None:  # whatever the name, so that the first of them does not stand out
            self._dummy_hash = await self._queue.run(callers, self._argon2.hash, b"nobody's password")
        compared = password_hash or self._dummy_hash or ""
        matches = await self._queue.run(callers, self._matches, compared, _encode(password))
        return matches and password_hash is not None

    def _matches(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        """Let the threads end."""
        self._queue.close()


def _encode(password: str) -> bytes:
    """Its UTF-8; a lone surrogate, which has none, is nobody's password but not our fault either."""
    return password.encode("utf-8", "surrogatepass")
