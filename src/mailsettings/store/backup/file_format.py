"""The file of a backup: bytes that nobody reads without the passphrase, and in which every change shows.

It begins with a head in clear: what it is, the version of this format, the cost of the key, a salt, a check of the
passphrase, and a checksum of these, by which damage to the head and a wrong passphrase are told apart. The key is
had from the passphrase by Argon2id (RFC 9106).

What follows is in pieces of 64 KiB, each sealed by AES-256-GCM with its number and whether it is the last as its
nonce, and the head as additional data. So a piece that is missing, changed, moved or appended is found: the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár (Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance, 2015). No two files have the same key, for each has a salt of its own.

Knows nothing of SQL, nor of what is in it.
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
from mailsettings.domain.secret import Secret

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
    """What a guess at the passphrase costs, in the terms of RFC 9106: memory in KiB, passes, lanes."""

    memory: int = RFC_9106_LOW_MEMORY.memory_cost
    passes: int = RFC_9106_LOW_MEMORY.time_cost
    lanes: int = RFC_9106_LOW_MEMORY.parallelism

    @property
    def is_acceptable(self) -> bool:
        """Whether it is one that Argon2 takes, and not all of our memory or a day of ours."""
        taken = self.passes >= 1 and self.lanes >= 1 and self.memory >= 8 * self.lanes
        return taken and all(cost <= most for cost, most in zip(self, MAX_COST, strict=True))


MAX_COST = Cost(2**18, 16, 16)
"""The highest cost that a file may ask for."""


MAX_LINE_BYTES = 4 * 2**20
"""Bytes. No row of ours comes near it."""


class _Head(NamedTuple):
    """What stands before the pieces."""

    cost: Cost
    salt: bytes
    check: bytes

    def packed(self) -> bytes:
        """As it is in the file."""
        fixed = _FIXED.pack(MAGIC, VERSION, *self.cost, self.salt, self.check)
        return fixed + _checksum(fixed)

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Raises `BackupUnusable`."""
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
    """Seals what is written, and hands it on to *write*."""

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
        while len(self._waiting) > CHUNK_BYTES:  # more than that, because the last piece is never empty
            self._write(self._chunks.seal(bytes(self._waiting[:CHUNK_BYTES]), last=False))
            del self._waiting[:CHUNK_BYTES]

    def end(self) -> None:
        """Append the last piece, without which the file is not whole."""
        self._write(self._chunks.seal(bytes(self._waiting), last=True))


class BackupReader:
    """What was written to *file*, as often as it is asked for; the key is had once."""

    def __init__(self, file: BinaryIO, passphrase: Secret) -> None:
        self._file = file
        self._packed = self._read(HEAD_BYTES)
        head = _Head.unpacked(self._packed)
        self._key, check = _key_and_check(passphrase, head.salt, head.cost)
        if not hmac.compare_digest(check, head.check):
            raise WrongPassphrase

    def lines(self) -> Iterator[bytes]:
        """Line by line, without line feeds. Raises `BackupUnusable` as soon as something is not as it was."""
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
    """Seals or opens one piece after the other."""

    def __init__(self, key: bytes, head: bytes) -> None:
        self._cipher = AESGCM(key)
        self._head = head
        self._number = 0
        self._ended = False

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last=last), chunk, self._head)

    def open(self, chunk: bytes, *, last: bool) -> bytes:
        """Raises `BackupUnusable`."""
        try:
            return self._cipher.decrypt(self._nonce(last=last), chunk, self._head)
        except InvalidTag:
            raise damaged() from None

    def require_ended(self) -> None:
        """Raise `BackupUnusable` unless the last piece was there."""
        if not self._ended:
            raise damaged()

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self._number.to_bytes(_NUMBER_BYTES, "big") + bytes([last])
        self._number += 1
        self._ended = last
        return nonce


def damaged() -> BackupUnusable:
    """For what is not as it was written."""
    return BackupUnusable("The backup is damaged or not whole; nothing of it was restored.")


def _newer() -> BackupUnusable:
    return BackupUnusable("The backup was made by a newer version of mailsettings; use that one.")


def _key_and_check(passphrase: Secret, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    """The key, and what tells that it is the right one; neither says anything about the other."""
    # One spelling of what looks the same, as keyboards and systems differ (RFC 8265 4.2.2).
    typed = unicodedata.normalize("NFC", passphrase.reveal()).encode()
    memory, passes, lanes = cost
    derived = hash_secret_raw(typed, salt, passes, memory, lanes, _KEY_BYTES + _CHECK_BYTES, Type.ID)
    return derived[:_KEY_BYTES], derived[_KEY_BYTES:]


def _checksum(fixed: bytes) -> bytes:
    return hashlib.sha256(fixed).digest()[:_CHECKSUM_BYTES]
