"""The key that signs tokens."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailsettings.auth.signing_key import SigningKeyUnusable, read_or_create


def _numbers(key: ec.EllipticCurvePrivateKey) -> int:
    return key.private_numbers().private_value


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing-key.pem"
    before = os.umask(0)
    try:
        made = read_or_create(path)
    finally:
        os.umask(before)

    assert _numbers(made) == _numbers(read_or_create(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [path] == list(path.parent.iterdir())


def test_first_starts_side_by_side_end_up_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing-key.pem"
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: _numbers(read_or_create(path)), range(16)))

    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    ],
    ids=["empty", "garbage", "another curve"],
)
def test_a_file_that_holds_no_such_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing-key.pem"
    path.write_bytes(content)

    with pytest.raises(SigningKeyUnusable, match="signing-key"):
        read_or_create(path)

    assert content == path.read_bytes()
