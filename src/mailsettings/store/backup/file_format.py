"""The encrypted file of a backup: unreadable without the passphrase, and every change to it is detected.

It begins with a head in clear text: the kind of file, the version of this format, the cost of the key derivation,
a salt, a check of the passphrase, and a checksum. The checksum distinguishes a damaged head from a wrong
passphrase. Argon2id (RFC 9106) derives the key from the passphrase.

Chunks of 64 KiB follow, each encrypted with AES-256-GCM. The nonce is the number of the chunk and whether it is
the last; the head is associated data. So a missing, changed, moved or appended chunk is detected: this is the
STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance, 2015). Each file has its own salt, so no two files have the same key.

This module knows nothing of SQL or of the content.
"""

import hashlib
import hmac
import os
import struct
import unicodedata
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Self

from argon2.low_level import Type, hash_secret_raw
from argon2.profiles import RFC_9106_LOW_MEMORY
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailsettings.domain.backup import BackupUnusable, WrongPassphrase
from mailsettings.domain.values import Secret

MAGIC = b"mailsettings backup"
VERSION = 1
CHUNK_BYTES = 65536
_TAG_BYTES = 16
_KEY_BYTES = 32
_CHECK_BYTES = 16
_SALT_BYTES = 16
_NUMBER_BYTES = 11
_FIXED = struct.Struct(f">{len(MAGIC)}sBIBB{_SALT_BYTES}s{_CHECK_BYTES}s")
_CHECKSUM_BYTES = 16
HEAD_BYTES = _FIXED.size + _CHECKSUM_BYTES


class Cost(NamedTuple):
    """The cost of one guess at the passphrase, in the terms of RFC 9106: memory in KiB, passes, lanes."""

    memory: int = RFC_9106_LOW_MEMORY.memory_cost
    passes: int = RFC_9106_LOW_MEMORY.time_cost
    lanes: int = RFC_9106_LOW_MEMORY.parallelism

    @property
    def is_acceptable(self) -> bool:
        """Whether Argon2 accepts the cost, and it stays below the limits of memory and time."""
        taken = self.passes >= 1 and self.lanes >= 1 and self.memory >= 8 * self.lanes
        return taken and all(cost <= most for cost, most in zip(self, MAX_COST, strict=True))


MAX_COST = Cost(2**18, 16, 16)
"""The highest cost that a file may ask for."""


MAX_LINE_BYTES = 4 * 2**20
"""In bytes; far above every row."""


class _Head(NamedTuple):
    """The head of the file, in clear text."""

    cost: Cost
    salt: bytes
    check: bytes

    def packed(self) -> bytes:
        """Return the head as bytes of the file."""
        fixed = _FIXED.pack(MAGIC, VERSION, *self.cost, self.salt, self.check)
        return fixed + _checksum(fixed)

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Parse the head. Raises `BackupUnusable`."""
        if not packed.startswith(MAGIC):
            raise BackupUnusable("The file is no backup of mailsettings.")
        if packed[len(MAGIC) : len(MAGIC) + 1] > bytes([VERSION]):
            raise _newer()
        fixed = packed[: _FIXED.size]
        if len(packed) != HEAD_BYTES or not hmac.compare_digest(_checksum(fixed), packed[_FIXED.size :]):
            raise damaged()
        _, _, memory, passes, lanes, salt, check = _FIXED.unpack(fixed)
        cost = Cost(memory, passes, lanes)
        if not cost.is_acceptable:
            raise _newer()
        return cls(cost, salt, check)


class BackupWriter:
    """Encrypts the content and passes it to *write*."""

    def __init__(self, write: Callable[[bytes], object], passphrase: Secret, cost: Cost | None = None) -> None:
        cost, salt = cost or Cost(), os.urandom(_SALT_BYTES)
        key, check = _key_and_check(passphrase, salt, cost)
        self._write = write
        self._head = _Head(cost, salt, check).packed()
        self._chunks = _ChunkCipher(key, self._head)
        self._waiting = bytearray()
        write(self._head)

    def write(self, content: bytes) -> None:
        """Append *content*."""
        self._waiting += content
        while len(self._waiting) > CHUNK_BYTES:  # not >=, because the last chunk must not be empty
            self._write(self._chunks.seal(bytes(self._waiting[:CHUNK_BYTES]), last=False))
            del self._waiting[:CHUNK_BYTES]

    def end(self) -> None:
        """Append the last chunk, without which the file is incomplete."""
        self._write(self._chunks.seal(bytes(self._waiting), last=True))


class BackupReader:
    """Reads the content of *file*, as often as needed; it derives the key once."""

    def __init__(self, file: BinaryIO, passphrase: Secret) -> None:
        self._file = file
        self._packed = self._read(HEAD_BYTES)
        head = _Head.unpacked(self._packed)
        self._key, check = _key_and_check(passphrase, head.salt, head.cost)
        if not hmac.compare_digest(check, head.check):
            raise WrongPassphrase

    def lines(self) -> Iterator[bytes]:
        """Yield the lines without line feeds. Raises `BackupUnusable` at the first changed chunk."""
        rest = b""
        for chunk in self._opened():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > MAX_LINE_BYTES:
                raise damaged()
        if rest:
            raise damaged()

    def _opened(self) -> Iterator[bytes]:
        chunks = _ChunkCipher(self._key, self._packed)
        chunk = self._read(CHUNK_BYTES + _TAG_BYTES, at=HEAD_BYTES)
        while chunk:
            following = self._read(CHUNK_BYTES + _TAG_BYTES)
            yield chunks.open(chunk, last=not following)
            chunk = following
        chunks.require_ended()

    def _read(self, size: int, *, at: int | None = None) -> bytes:
        try:
            if at is not None:
                self._file.seek(at)
            return self._file.read(size)
        except OSError as error:
            raise BackupUnusable(f"The backup cannot be read: {error.strerror}.") from None


class _ChunkCipher:
    """Encrypts or decrypts one chunk after the other."""

    def __init__(self, key: bytes, head: bytes) -> None:
        self._cipher = AESGCM(key)
        self._head = head
        self._number = 0
        self._ended = False

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), chunk, self._head)

    def open(self, chunk: bytes, *, last: bool) -> bytes:
        """Decrypt the next chunk. Raises `BackupUnusable`."""
        try:
            return self._cipher.decrypt(self._nonce(last=last), chunk, self._head)
        except InvalidTag:
            raise damaged() from None

    def require_ended(self) -> None:
        """Raise `BackupUnusable` unless the last chunk was read."""
        if not self._ended:
            raise damaged()

    def _nonce(self, *, last: bool) -> bytes:
        # A counter is safe as a nonce, because every file has a key of its own.
        nonce = self._number.to_bytes(_NUMBER_BYTES, "big") + bytes([last])
        self._number += 1
        self._ended = last
        return nonce


def damaged() -> BackupUnusable:
    """Return the error for a changed or incomplete file."""
    return BackupUnusable("The backup is damaged or not whole; nothing of it was restored.")


def _newer() -> BackupUnusable:
    return BackupUnusable("The backup was made by a newer version of mailsettings; use that version.")


def _key_and_check(passphrase: Secret, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    """Return the key and a check of the passphrase; neither reveals anything about the other."""
    # NFC, because keyboards and systems encode the same characters differently (RFC 8265 4.2.2).
    typed = unicodedata.normalize("NFC", passphrase.reveal()).encode()
    memory, passes, lanes = cost
    derived = hash_secret_raw(typed, salt, passes, memory, lanes, _KEY_BYTES + _CHECK_BYTES, Type.ID)
    return derived[:_KEY_BYTES], derived[_KEY_BYTES:]


def _checksum(fixed: bytes) -> bytes:
    return hashlib.sha256(fixed).digest()[:_CHECKSUM_BYTES]
