"""The key that signs our access tokens: an EC P-256 key in a PEM file only its owner can read."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


class SigningKeyUnusable(Exception):
    """The key file exists and holds no key we can sign with; `str()` is one sentence."""


def read_or_create(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key at *path*, made there if the file does not exist. Raises `SigningKeyUnusable`."""
    if not path.exists():
        _create(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise SigningKeyUnusable(f"{path} holds no readable private key.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyUnusable(f"{path} must hold a P-256 private key.")
    return key


def _create(path: Path) -> None:
    """Put a new key in place under its name at once, so that two first starts end up with the same one."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is the key
    finally:
        draft.unlink()
