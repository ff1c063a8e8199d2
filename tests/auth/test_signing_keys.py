"""The signing keys: which key signs, which keys verify, and how soon a change takes effect."""

import asyncio
import re

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailsettings.auth.tokens import (
    MAX_AGE_SECONDS,
    MIN_RELOAD_INTERVAL_SECONDS,
    SigningKeys,
    SigningKeyUnusable,
    load,
    make,
)
from mailsettings.domain.errors import StoreUnavailable


class Kept:
    """Where the keys are kept, and the time."""

    def __init__(self) -> None:
        self.keys = [make()]
        self.now = 1000.0
        self.away = False
        self.asked = 0

    async def read(self) -> list[tuple[str, str]]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable
        return list(self.keys)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def keys(kept: Kept) -> SigningKeys:
    return SigningKeys(kept.read, kept.clock)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def test_a_new_key_loads_and_has_a_unique_id() -> None:
    (first, pem), (second, _) = make(), make()

    assert load(pem).curve.name == "secp256r1"
    assert first != second
    assert re.fullmatch("[0-9a-f]{16}", first)


@pytest.mark.parametrize(
    "pem",
    ["", "garbage", _pem(ec.generate_private_key(ec.SECP384R1())), _pem(rsa.generate_private_key(65537, 2048))],
    ids=["empty", "garbage", "another curve", "another kind"],
)
def test_other_keys_are_refused(pem: str) -> None:
    with pytest.raises(SigningKeyUnusable) as refused:
        load(pem)

    assert str(refused.value) == "The signing key must be a P-256 private key in PEM form."


async def test_the_newest_key_signs_and_all_keys_verify(kept: Kept, keys: SigningKeys) -> None:
    kept.keys.append(make())

    newest, key = await keys.newest()

    assert newest == kept.keys[-1][0]
    assert await keys.verification_key(newest) == key.public_key()
    assert await keys.verification_key(kept.keys[0][0]) == load(kept.keys[0][1]).public_key()


async def test_without_a_key_nothing_is_signed(kept: Kept, keys: SigningKeys) -> None:
    kept.keys.clear()

    with pytest.raises(SigningKeyUnusable):
        await keys.newest()


async def test_a_dropped_key_stops_verifying_within_seconds(kept: Kept, keys: SigningKeys) -> None:
    (old, _) = kept.keys[0]
    assert await keys.verification_key(old)
    kept.keys[:] = [make()]

    kept.now += MAX_AGE_SECONDS + 0.1

    assert await keys.verification_key(old) is None


async def test_another_servers_key_is_loaded_when_named(kept: Kept, keys: SigningKeys) -> None:
    await keys.verification_key(kept.keys[0][0])
    new, pem = make()
    kept.keys.append((new, pem))

    kept.now += MIN_RELOAD_INTERVAL_SECONDS + 0.1

    assert await keys.verification_key(new) == load(pem).public_key()


async def test_a_flood_of_unknown_keys_reloads_once_a_second(kept: Kept, keys: SigningKeys) -> None:
    found = await asyncio.gather(*(keys.verification_key(f"unknown {number}") for number in range(1000)))

    assert (set(found), kept.asked) == ({None}, 1)


async def test_known_keys_are_not_reloaded_for_each_request(kept: Kept, keys: SigningKeys) -> None:
    for _ in range(100):
        await keys.verification_key(kept.keys[0][0])
    kept.now += MAX_AGE_SECONDS - 0.1
    await keys.verification_key(kept.keys[0][0])

    assert kept.asked == 1


async def test_an_unknown_key_reloads_after_a_second(kept: Kept, keys: SigningKeys) -> None:
    asked = []
    for seconds in (0, MIN_RELOAD_INTERVAL_SECONDS - 0.1, 0.1):
        kept.now += seconds
        await keys.verification_key("unknown")
        asked.append(kept.asked)

    assert asked == [1, 1, 2]


async def test_a_known_key_is_not_parsed_again(keys: SigningKeys) -> None:
    (_, first), (_, second) = await keys.newest(), await keys.newest()

    assert first is second


async def test_keys_are_unavailable_while_the_store_is_away(kept: Kept, keys: SigningKeys) -> None:
    kept.away = True

    with pytest.raises(StoreUnavailable):
        await keys.verification_key("any")


async def test_an_unavailable_store_fails_all_waiting_writers_at_once(kept: Kept, keys: SigningKeys) -> None:
    kept.away = True
    told = await asyncio.gather(*(keys.verification_key("any") for _ in range(20)), return_exceptions=True)
    asked, kept.away = kept.asked, False
    back = await asyncio.gather(*(keys.newest() for _ in range(3)))

    assert [type(error) for error in told] == [StoreUnavailable] * 20
    assert asked == 1
    assert [key_id for key_id, _ in back] == [kept.keys[0][0]] * 3


async def test_the_published_keys_are_public_keys_only(kept: Kept, keys: SigningKeys) -> None:
    kept.keys.append(make())
    published = await keys.json_web_keys()
    token = jwt.encode({"sub": "alice"}, load(kept.keys[1][1]), "ES256", {"kid": kept.keys[1][0]})

    read = jwt.PyJWKSet.from_dict(dict(published))

    assert [key.key_id for key in read.keys] == [key_id for key_id, _ in kept.keys]
    assert jwt.decode(token, read[kept.keys[1][0]].key, algorithms=["ES256"]) == {"sub": "alice"}
    listed = published["keys"]
    assert isinstance(listed, list)
    assert [(key["use"], key["alg"], key["kty"], key["crv"]) for key in listed] == [
        ("sig", "ES256", "EC", "P-256")
    ] * 2
    assert '"d"' not in str(published).replace("'", '"')
