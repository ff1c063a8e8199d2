"""The key that signs tokens."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.auth import signing_key


def test_a_new_key_can_be_loaded() -> None:
    assert signing_key.load(signing_key.make()).curve.name == "secp256r1"


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"garbage",
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    ],
    ids=["empty", "garbage", "another curve"],
)
def test_anything_else_is_refused(pem: bytes) -> None:
    with pytest.raises(signing_key.SigningKeyUnusable):
        signing_key.load(pem)
