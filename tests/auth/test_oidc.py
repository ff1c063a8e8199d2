"""Tokens of an issuer on loopback: their grants here, and its keys while the issuer is up and down."""

import asyncio
import json
import logging
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mailsettings.auth.access_token import MAX_TOKEN_LENGTH, MAX_VERIFIED_TOKENS
from mailsettings.auth.jwks import (
    ALGORITHMS,
    MAX_AGE_SECONDS,
    MIN_FIRST_FETCH_INTERVAL_SECONDS,
    MIN_REFRESH_INTERVAL_SECONDS,
    REFRESH_AFTER_SECONDS,
)
from mailsettings.auth.oidc import OIDCTokenReader
from mailsettings.auth.trusted_issuer import ClaimGrants
from mailsettings.domain.access import TokenClaims
from mailsettings.domain.errors import IdentityUnavailable, NotAuthenticated

from support.openid_issuer import (
    AUDIENCE,
    DISCOVERY,
    GRANTS,
    KEYS,
    RSA_KEY,
    Clock,
    OpenIDIssuer,
    SigningKey,
    answer,
    issuer_client,
    trusted,
)

ALL, READING = "manage-system-settings", "view-mail-settings"
HOST = "127.0.0.1"


def reader(issuer: OpenIDIssuer, clock: Clock, ca_file: Path | None = None, /, **changes: Any) -> OIDCTokenReader:
    return OIDCTokenReader(trusted(issuer, **changes), issuer_client(ca_file), clock)


@pytest.fixture
def tokens(issuer: OpenIDIssuer, clock: Clock) -> OIDCTokenReader:
    return reader(issuer, clock)


async def test_a_token_gives_subject_and_grants(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    expiry = int(time.time()) + 60

    claims = await tokens.read(issuer.token(roles=["mail-admin", "auditor", "dancer"], exp=expiry))

    assert claims.subject == f"{HOST}|alice"
    assert claims.grants == {ALL, READING}
    assert claims.expires_at == expiry
    assert claims.stamp is None


@pytest.mark.parametrize(
    ("path", "claims", "expected"),
    [
        (("roles",), {"roles": "auditor"}, {READING}),
        (("roles",), {"roles": "no auditor"}, set()),
        (("scope",), {"scope": "openid auditor"}, {READING}),
        (("realm_access", "roles"), {"realm_access": {"roles": ["auditor"]}}, {READING}),
        (("https://example.org/roles",), {"https://example.org/roles": ["auditor"]}, {READING}),
        (("realm_access", "roles"), {"realm_access": ["auditor"]}, set()),
        (("roles",), {"roles": [7, None, {"auditor": 1}, ["auditor"]]}, set()),
        (("roles",), {"roles": {"auditor": True}}, set()),
        (("missing",), {}, set()),
    ],
)
async def test_permissions_are_read_where_the_settings_say(
    issuer: OpenIDIssuer, clock: Clock, path: tuple[str, ...], claims: dict[str, Any], expected: set[str]
) -> None:
    tokens = reader(issuer, clock, permissions=(ClaimGrants(path, GRANTS),))

    assert expected == (await tokens.read(issuer.token(**({"roles": None} | claims)))).grants


async def test_another_claim_can_name_the_caller(issuer: OpenIDIssuer, clock: Clock) -> None:
    tokens = reader(issuer, clock, subject_claim=("user", "login"))

    assert (await tokens.read(issuer.token(user={"login": "bob"}))).subject == f"{HOST}|bob"
    with pytest.raises(NotAuthenticated):
        await tokens.read(issuer.token())


@pytest.mark.parametrize(
    "key",
    [
        SigningKey("r", "RS256", RSA_KEY),
        SigningKey("p", "PS256", RSA_KEY),
        SigningKey("e", "ES256"),
        SigningKey("d", "EdDSA", ed25519.Ed25519PrivateKey.generate()),
        SigningKey(None),
    ],
    ids=lambda key: f"{key.algorithm} {key.key_id}",
)
@pytest.mark.parametrize("named", [True, False], ids=["alg in the key", "no alg in the key"])
async def test_every_supported_key_type_verifies(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, key: SigningKey, named: bool
) -> None:
    issuer.key = key
    issuer.published = [key.jwk() if named else key.jwk(alg=None, use=None)]

    assert (await tokens.read(issuer.token())).grants == {ALL}


EC384, EC521 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1())
MORE_KEYS = [
    *(SigningKey("r", name, RSA_KEY) for name in ("RS384", "RS512", "PS384", "PS512")),
    *(SigningKey("e", name, key) for name, key in (("ES384", EC384), ("ES512", EC521))),
]


@pytest.mark.parametrize("key", MORE_KEYS, ids=lambda key: key.algorithm)
async def test_more_algorithms_verify_only_where_allowed(
    issuer: OpenIDIssuer, clock: Clock, key: SigningKey
) -> None:
    issuer.key, issuer.published = key, [key.jwk(alg=None)]
    allowing = reader(issuer, clock, algorithms=frozenset({key.algorithm}))
    others = reader(issuer, clock, algorithms=frozenset(ALGORITHMS) - {key.algorithm})

    assert (await allowing.read(issuer.token())).grants == {ALL}
    with pytest.raises(NotAuthenticated):
        await others.read(issuer.token())


@pytest.mark.parametrize("claim", ["nonce", "at_hash"])
async def test_signs_of_an_id_token_are_accepted_only_where_allowed(
    issuer: OpenIDIssuer, clock: Clock, claim: str
) -> None:
    allowing = reader(issuer, clock, id_token_claims=frozenset({claim}))
    other = reader(issuer, clock, id_token_claims=frozenset({"nonce", "at_hash"} - {claim}))

    assert (await allowing.read(issuer.token(**{claim: "x"}))).grants == {ALL}
    for claims in ({claim: "x", "c_hash": "x"}, {claim: "x", "cnf": {}}, {claim: "x", "token_use": "id"}):
        with pytest.raises(NotAuthenticated):
            await allowing.read(issuer.token(**claims))
    with pytest.raises(NotAuthenticated):
        await other.read(issuer.token(**{claim: "x"}))


async def test_a_token_of_200_groups_needs_a_higher_limit(issuer: OpenIDIssuer, clock: Clock) -> None:
    token = issuer.token(groups=[str(uuid.UUID(int=number)) for number in range(200)])
    allowing = reader(issuer, clock, max_token_length=len(token))

    assert MAX_TOKEN_LENGTH < len(token) < 12 * 1024
    assert (await allowing.read(token)).grants == {ALL}
    with pytest.raises(NotAuthenticated):
        await allowing.read(f"{token}x")
    with pytest.raises(NotAuthenticated):
        await reader(issuer, clock).read(token)


async def test_a_token_without_audience_needs_its_client(issuer: OpenIDIssuer, clock: Clock) -> None:
    required = ((("client_id",), frozenset({"robot"})),)
    tokens = reader(issuer, clock, audiences=(), required=required)

    assert (await tokens.read(issuer.token(aud=None, client_id="robot"))).grants == {ALL}
    for claims in ({"client_id": "other"}, {}, {"client_id": "robot", "aud": AUDIENCE}):
        with pytest.raises(NotAuthenticated):
            await tokens.read(issuer.token(**({"aud": None} | claims)))


async def test_a_token_without_subject_needs_a_claim_for_it(issuer: OpenIDIssuer, clock: Clock) -> None:
    tokens = reader(issuer, clock, client_subject_claim=("appid",))

    assert (await tokens.read(issuer.token(sub=None, appid="robot"))).subject == f"{HOST}|client|robot"
    with pytest.raises(NotAuthenticated):
        await tokens.read(issuer.token(sub=None))


async def test_tokens_may_name_another_issuer_than_its_documents(issuer: OpenIDIssuer, clock: Clock) -> None:
    """As those of AD FS do; the issuer itself must then be in the list too."""
    trust = f"{issuer.url}/services/trust"
    tokens = reader(issuer, clock, token_issuers=(trust,))

    assert (await tokens.read(issuer.token(iss=trust))).subject == f"{HOST}|alice"
    with pytest.raises(NotAuthenticated):
        await tokens.read(issuer.token())


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", None])
async def test_the_type_of_a_token_is_optional(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, kind: str | None
) -> None:
    assert (await tokens.read(issuer.key.sign(issuer.claims(), typ=kind))).grants == {ALL}


async def test_one_of_several_audiences_is_enough(issuer: OpenIDIssuer, clock: Clock) -> None:
    tokens = reader(issuer, clock, audiences=(AUDIENCE, "another"))

    assert (await tokens.read(issuer.token(aud=["account", "another"]))).grants == {ALL}


async def test_clocks_may_differ_by_half_a_minute(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    now = int(time.time())

    assert (await tokens.read(issuer.token(exp=now - 5))).grants == {ALL}
    assert (await tokens.read(issuer.token(nbf=now + 20, iat=now + 20))).grants == {ALL}


async def test_an_older_keycloaks_access_token_may_have_a_nonce(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer
) -> None:
    assert (await tokens.read(issuer.token(typ="Bearer", nonce="n"))).grants == {ALL}


async def test_many_callers_at_once_share_one_fetch(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    signed = [issuer.token(sub=f"user {number}") for number in range(50)]

    read = await asyncio.gather(*map(tokens.read, signed))

    assert len({claims.subject for claims in read}) == 50
    assert issuer.asked == [DISCOVERY, KEYS]


async def test_a_cancelled_caller_does_not_cancel_the_fetch(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    first, second = (asyncio.create_task(tokens.read(issuer.token(sub=name))) for name in ("a", "b"))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).subject == f"{HOST}|b"


async def test_a_cached_token_is_verified_again_after_expiry(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer
) -> None:
    good, just_expired = issuer.token(), issuer.token(exp=int(time.time()) - 5)

    assert await tokens.read(good) is await tokens.read(good)
    assert await tokens.read(just_expired) is not await tokens.read(just_expired)


async def test_the_cache_of_verified_tokens_is_bounded(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    await tokens.read(issuer.token())
    verified = (await tokens._keys.current()).verified  # noqa: SLF001  # making a thousand real tokens takes a second
    verified.update(
        {f"token {number}": TokenClaims("", frozenset(), 0) for number in range(MAX_VERIFIED_TOKENS - 1)}
    )

    await tokens.read(issuer.token(sub="bob"))

    assert len(verified) == MAX_VERIFIED_TOKENS
    assert next(iter(verified)) == "token 0"  # the oldest has gone

    verified.popitem()
    await tokens.read(issuer.token(sub="carol"))

    assert "token 0" in verified  # there was room for one more


async def test_only_expiry_has_its_own_message(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    said = []
    for token in (issuer.token(exp=int(time.time()) - 60), issuer.token(aud="another's")):
        with pytest.raises(NotAuthenticated) as refused:
            await tokens.read(token)
        said.append((str(refused.value), refused.value.presented))

    assert said == [("The access token has expired.", True), ("The access token is not valid.", True)]


async def test_a_new_key_is_fetched_when_named(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    await tokens.read(issuer.token())
    issuer.rotate("second")
    clock.now += MIN_REFRESH_INTERVAL_SECONDS

    assert (await tokens.read(issuer.token())).grants == {ALL}
    assert issuer.fetches == 2


async def test_a_revoked_key_stops_working_after_five_minutes(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    token = issuer.token()
    await tokens.read(token)
    issuer.rotate("second")
    clock.now += REFRESH_AFTER_SECONDS - 1
    still_good = await tokens.read(token)
    clock.now += 1

    assert still_good.grants == {ALL}
    with pytest.raises(NotAuthenticated):
        await tokens.read(token)


async def test_a_key_replaced_under_its_id_stops_working(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    token = issuer.token()
    await tokens.read(token)
    issuer.rotate("first")
    clock.now += REFRESH_AFTER_SECONDS

    with pytest.raises(NotAuthenticated):
        await tokens.read(token)


async def test_an_issuer_may_revoke_all_its_keys(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    token = issuer.token()
    await tokens.read(token)
    issuer.published = []
    clock.now += REFRESH_AFTER_SECONDS

    with pytest.raises(NotAuthenticated):
        await tokens.read(token)


async def test_without_any_issuer_key_all_tokens_are_refused(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    token = issuer.token()
    issuer.go_away()
    with pytest.raises(IdentityUnavailable):
        await tokens.read(token)
    issuer.start()
    clock.now += MIN_FIRST_FETCH_INTERVAL_SECONDS

    assert (await tokens.read(token)).grants == {ALL}


async def test_known_keys_work_for_a_day_without_the_issuer(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    await tokens.read(issuer.token())
    issuer.go_away()
    for _ in range(3):
        clock.now += MAX_AGE_SECONDS / 4
        assert (await tokens.read(issuer.token(jti=str(clock.now)))).grants == {ALL}
    clock.now += MAX_AGE_SECONDS / 4

    with pytest.raises(IdentityUnavailable):
        await tokens.read(issuer.token())
    issuer.start()


async def test_a_returned_issuer_is_asked_within_30_seconds(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    await tokens.read(issuer.token())
    issuer.go_away()
    clock.now += REFRESH_AFTER_SECONDS
    await tokens.read(issuer.token())
    issuer.start()
    clock.now += MIN_REFRESH_INTERVAL_SECONDS - 1
    await tokens.read(issuer.token())
    early = issuer.fetches
    clock.now += 1
    await tokens.read(issuer.token())

    assert (early, issuer.fetches) == (1, 2)


async def test_an_unknown_key_during_an_outage_is_unavailable(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    await tokens.read(issuer.token())
    issuer.go_away()
    issuer.rotate("second")
    clock.now += MIN_REFRESH_INTERVAL_SECONDS

    with pytest.raises(IdentityUnavailable):
        await tokens.read(issuer.token())
    issuer.start()


async def test_a_private_authority_is_trusted_only_with_its_file(
    tls_issuer: tuple[OpenIDIssuer, Path], clock: Clock
) -> None:
    issuer, ca_file = tls_issuer

    assert (await reader(issuer, clock, ca_file).read(issuer.token())).grants == {ALL}
    with pytest.raises(IdentityUnavailable):
        await reader(issuer, clock).read(issuer.token())


async def test_identity_ignores_the_environments_proxies(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert (await tokens.read(issuer.token())).grants == {ALL}


async def test_issuer_urls_may_have_slashes_and_queries(issuer: OpenIDIssuer, clock: Clock) -> None:
    keys = f"{KEYS}?policy=sign-in"
    issuer.described = {"issuer": f"{issuer.url}/", "jwks_uri": issuer.url + keys}
    issuer.lies[keys] = lambda handler: answer(handler, _key_set(issuer))

    claims = await reader(issuer, clock, issuer=f"{issuer.url}/").read(issuer.token(iss=f"{issuer.url}/"))

    assert claims.grants == {ALL}
    assert issuer.asked == [DISCOVERY, keys]


def _key_set(issuer: OpenIDIssuer) -> bytes:
    return json.dumps({"keys": [issuer.key.jwk()]}).encode()


async def test_the_reason_of_a_refusal_names_the_signed_audience(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer
) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await tokens.read(issuer.token(aud="account"))

    assert refused.value.reason == 'its audience (aud) is "account", not accepted here'


async def test_the_signature_alone_can_be_checked(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    await tokens.require_signature(issuer.token(aud="account", exp=1))
    with pytest.raises(NotAuthenticated) as refused:
        await tokens.require_signature(SigningKey("first").sign(issuer.claims()))

    assert refused.value.reason == "its signature does not fit the key of its issuer"


async def test_the_usable_keys_of_an_issuer_can_be_counted(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    issuer.published = [issuer.key.jwk(), SigningKey("second").jwk(), SigningKey("third").jwk(use="enc")]

    assert await tokens.published_keys() == 2


async def test_an_issuer_that_is_asked_at_start_is_logged(
    issuer: OpenIDIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mailsettings.issuer")
    await reader(issuer, clock).ask_issuer()
    issuer.published = []
    await reader(issuer, clock).ask_issuer()
    issuer.described = {"issuer": f"{issuer.url}/"}
    await reader(issuer, clock).ask_issuer()

    assert caplog.messages == [
        f"The issuer {issuer.url} publishes 1 usable keys.",
        f"The issuer {issuer.url} publishes no usable key, so no token of it is valid.",
        (
            f"The keys of the OpenID Connect issuer {issuer.url} could not be fetched: it calls itself by another "
            "name than the settings do, which differs by a final slash alone."
        ),
    ]


async def test_the_published_keys_are_counted_without_the_cache(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer
) -> None:
    before = await tokens.published_keys()
    issuer.published = []

    assert (before, await tokens.published_keys()) == (1, 0)
