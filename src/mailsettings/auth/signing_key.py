"""The key that signs our access tokens: EC P-256, kept as PEM. Where it is kept is not known here."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


class SigningKeyUnusable(Exception):
    """What is kept is no key that we can sign with; `str()` is one sentence."""

    def __init__(self) -> None:
        super().__init__("The signing key must be a P-256 private key in PEM form.")


def make() -> bytes:
    """A new key as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The key in *pem*. Raises `SigningKeyUnusable`."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise SigningKeyUnusable from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyUnusable
    return key
