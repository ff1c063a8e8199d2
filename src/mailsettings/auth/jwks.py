"""An issuer's JSON Web Keys (RFC 7517): those that signatures are verified with here, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK, PyJWTError

MAX_KEYS = 100
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Verifying takes longer the longer the key; PyJWT and OpenSSL would take more."""
MAX_MEMBER_LENGTH = MAX_RSA_BITS // 6 + 1

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

# The members that make a public key of each type, and the algorithms that we take of it.
_MEMBERS_BY_TYPE = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_ALGORITHMS_BY_TYPE = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}
ALGORITHMS = frozenset(name for names in _ALGORITHMS_BY_TYPE.values() for name in names)


class KeysUnusable(Exception):
    """A document is no set of keys; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, and what it may be used with."""

    key_id: str | None
    algorithms: frozenset[str]
    key: PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer at one moment."""

    keys: tuple[VerificationKey, ...]

    def find(self, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """The one key that is meant; None if there is none or several, so that nothing is tried out."""
        fitting = [
            key for key in self.keys if algorithm in key.algorithms and (key_id is None or key.key_id == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def parse_jwks(document: Mapping[str, object]) -> KeySet:
    """The keys in *document* that are of use; others are left out, for issuers publish keys for others too.

    None at all is an answer: it is how an issuer takes back all it has signed. Raises `KeysUnusable`.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeysUnusable("The issuer's keys are not a JSON Web Key Set.")
    if len(entries) > MAX_KEYS:
        raise KeysUnusable(f"The issuer has more than {MAX_KEYS} keys.")
    return KeySet(tuple(key for key in map(_parse_key, entries) if key is not None))


def _parse_key(entry: object) -> VerificationKey | None:
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kind, key_id = entry.get("kty"), entry.get("kid")
    if not isinstance(kind, str) or kind not in _MEMBERS_BY_TYPE or not isinstance(key_id, str | None):
        return None
    algorithms = frozenset(_ALGORITHMS_BY_TYPE[kind])
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    key = _public_key(kind, entry) if algorithms else None
    return VerificationKey(key_id, algorithms, key) if key is not None else None


def _is_for_signatures(entry: Mapping[str, object]) -> bool:
    """A key with its private part (`d`) in it is everybody's, and nobody's proof."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and "d" not in entry
        and (isinstance(operations, list) and "verify" in operations)
    )


def _public_key(kind: str, entry: Mapping[str, object]) -> PublicKey | None:
    members = {name: entry.get(name) for name in _MEMBERS_BY_TYPE[kind]}
    if not all(isinstance(value, str) and len(value) <= MAX_MEMBER_LENGTH for value in members.values()):
        return None
    try:
        key: object = PyJWK({"kty": kind, **members}, _ALGORITHMS_BY_TYPE[kind][0]).key
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    return key if _is_strong(key) else None


def _is_strong(key: object) -> TypeGuard[PublicKey]:
    """Of the type that its algorithm wants, and of a length that is neither too little nor a burden."""
    if isinstance(key, rsa.RSAPublicKey):
        return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1)
    return isinstance(key, ed25519.Ed25519PublicKey)
