"""Certificates that no authority issues: single faults by name, and as many random mutations as are wanted.

A mutation changes bytes, or one value of the DER structure with all lengths around it put right, so that readers
get past the outer layers.
"""

import copy
import random
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import trustme
from cryptography import x509

from support.certificates import SelfSigned

_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_NAME = "mail.example.org"
_INTERESTING = (0, 1, 2, 3, 5, 0x0C, 0x17, 0x18, 0x30, 0x7F, 0x80, 0x81, 0xA0, 0xFF)


@dataclass
class Value:
    """One DER value: its tag, and its content or its parts."""

    tag: int
    content: bytes = b""
    parts: list["Value"] = field(default_factory=list)

    @classmethod
    def parse_all(cls, der: bytes) -> list[Self]:
        values = []
        while der:
            tag, length, start = der[0], der[1], 2
            if length & 0x80:
                start = 2 + (length & 0x7F)
                length = int.from_bytes(der[2:start])
            content, der = der[start : start + length], der[start + length :]
            values.append(
                cls(tag, parts=list(cls.parse_all(content))) if tag & _CONSTRUCTED else cls(tag, content)
            )
        return values

    def encode(self) -> bytes:
        content = b"".join(part.encode() for part in self.parts) if self.parts else self.content
        size = len(content)
        length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2)
        if 0x80 <= size < 0x100:
            length = bytes([0x81, size])
        return bytes([self.tag]) + length + content

    def walk(self) -> Iterator["Value"]:
        yield self
        for part in self.parts:
            yield from part.walk()


def pem_of(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der)


def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


GOOD = [
    _der(trustme.CA().cert_pem.bytes()),
    _der(trustme.CA().issue_cert(_NAME, "*.example.org", "192.0.2.1").cert_chain_pems[0].bytes()),
    _der(SelfSigned.for_name(_NAME).pem),
    _der(SelfSigned.for_name("Our own authority", authority=True).pem),
]


def _tree() -> tuple[Value, list[Value]]:
    """A self-signed certificate, and the parts of its signed content (RFC 5280 4.1)."""
    (certificate,) = Value.parse_all(_der(SelfSigned.for_name(_NAME).pem))
    return certificate, certificate.parts[0].parts


VERSION, SERIAL, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = 0, 1, 3, 4, 5, 6, 7


def with_version(number: int) -> bytes:
    """A certificate of this version; 2 is the number of version 3 (RFC 5280 4.1.2.1)."""
    certificate, parts = _tree()
    parts[VERSION].parts[0].content = bytes([number])
    return certificate.encode()


def with_serial(content: bytes) -> bytes:
    """A certificate with these bytes as its serial number, in two's complement."""
    certificate, parts = _tree()
    parts[SERIAL].content = content
    return certificate.encode()


def with_date(text: str) -> bytes:
    """A certificate that is valid until *text*, as UTCTime."""
    certificate, parts = _tree()
    parts[VALIDITY].parts[1] = Value(0x17, text.encode())
    return certificate.encode()


def with_name(value: Value) -> bytes:
    """A certificate with *value* as the common name of its subject."""
    certificate, parts = _tree()
    parts[SUBJECT].parts[0].parts[0].parts[1] = value
    return certificate.encode()


def with_curve(oid: bytes) -> bytes:
    """A certificate with a key that claims the curve of this object identifier."""
    certificate, parts = _tree()
    parts[KEY].parts[0].parts[1].content = oid
    return certificate.encode()


def with_broken_key() -> bytes:
    """A certificate with a public key that is not on its curve."""
    certificate, parts = _tree()
    parts[KEY].parts[1].content = b"\0\x04" + b"\xff" * 64
    return certificate.encode()


def with_extension_twice() -> bytes:
    """A certificate that has one extension two times."""
    certificate, parts = _tree()
    extensions = parts[EXTENSIONS].parts[0].parts
    extensions.append(extensions[0])
    return certificate.encode()


def with_broken_extension() -> bytes:
    """A certificate with truncated alternative names."""
    certificate, parts = _tree()
    parts[EXTENSIONS].parts[0].parts[0].parts[1].content = b"\x30\x17\x82"
    return certificate.encode()


def with_length_of_two_bytes() -> bytes:
    """A certificate that spells one length longer than DER does."""
    der = with_serial(b"\x01")
    return der.replace(b"\x02\x01\x01", b"\x02\x81\x01", 1)


def with_unknown_extension() -> bytes:
    """A certificate with a private extension, which says that readers have to know it."""
    certificate, parts = _tree()
    oid, true = Value(0x06, bytes.fromhex("2b060104018d0c0101")), Value(0x01, b"\xff")
    parts[EXTENSIONS].parts[0].parts.append(Value(0x30, parts=[oid, true, Value(0x04, b"\x05\x00")]))
    return certificate.encode()


def with_x400_name() -> bytes:
    """A certificate with a kind of name that RFC 5280 4.2.1.6 has and few readers know."""
    oid = x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    names = x509.UnrecognizedExtension(oid, b"\x30\x17\x82\x0fmail.example.or\xa3\x04abcd")
    return _der(SelfSigned.for_name("mail.example.or", extra=names).pem)


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """Mutated certificates in DER, the same for each *seed*."""
    rng = random.Random(seed)
    for _ in range(count):
        der = rng.choice(GOOD)
        yield _with_changed_values(der, rng) if rng.random() < 0.6 else _with_changed_bytes(der, rng)


def _with_changed_bytes(der: bytes, rng: random.Random) -> bytes:
    changed = bytearray(der)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.choice(_INTERESTING)
            case 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                changed[at] = rng.randrange(256)
            case _:
                del changed[at]
    return bytes(changed)


def _with_changed_values(der: bytes, rng: random.Random) -> bytes:
    (certificate,) = Value.parse_all(der)
    for _ in range(rng.choice((1, 1, 2))):
        value = rng.choice(list(certificate.walk()))
        match rng.randrange(6):
            case 0:
                value.tag = rng.choice(_INTERESTING)
            case 1 if value.parts:
                value.parts.pop(rng.randrange(len(value.parts)))
            case 2 if value.parts:
                value.parts.append(copy.deepcopy(rng.choice(list(certificate.walk()))))
            case 3 if value.content:
                value.content = value.content[:200] * rng.choice((2, 40))
            case 4:
                value.content, value.parts = rng.randbytes(rng.choice((0, 1, 9))), []
            case _:
                value.content = _with_changed_bytes(value.content, rng) if len(value.content) > 5 else b"\xff"
    return certificate.encode()
