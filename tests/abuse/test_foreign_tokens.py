"""Tokens of an external issuer, as an attacker would make them and as its callers bring them. Case 37."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mailsettings.auth.access_token import MAX_TOKEN_LENGTH
from mailsettings.auth.jwks import ALGORITHMS, MIN_REFRESH_INTERVAL_SECONDS
from mailsettings.auth.oidc import LEEWAY_SECONDS, OIDCTokenReader
from mailsettings.domain.errors import NotAuthenticated

from support import commands
from support.openid_issuer import AUDIENCE, Clock, OpenIDIssuer, SigningKey, issuer_client, trusted
from support.processes import serving
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN
from support.timeouts import GUARD_SECONDS

LONG_SECONDS = GUARD_SECONDS
"""Far more than any limit, far less than a test would hang without one."""

Forge = Callable[[OpenIDIssuer], str]


@pytest.fixture
def tokens(issuer: OpenIDIssuer, clock: Clock) -> OIDCTokenReader:
    return OIDCTokenReader(trusted(issuer), issuer_client(), clock)


def part(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(issuer: OpenIDIssuer, payload: bytes | dict[str, Any], header: bytes | None = None) -> str:
    """A token with a good signature over whatever it says; PyJWT would not write most of it."""
    usual = json.dumps({"alg": "ES256", "kid": issuer.key.key_id}).encode()
    whole = f"{part(header or usual)}.{part(payload)}"
    assert isinstance(issuer.key.key, ec.EllipticCurvePrivateKey)
    return f"{whole}.{part(ECAlgorithm(ECAlgorithm.SHA256).sign(whole.encode(), issuer.key.key))}"


def with_claims(**changes: Any) -> Forge:
    return lambda issuer: issuer.token(**changes)


def with_header(**header: Any) -> Forge:
    """Signed well under any header, as only the issuer itself could."""

    def forge(issuer: OpenIDIssuer) -> str:
        whole = {"alg": "ES256", "kid": issuer.key.key_id} | header
        return signed(issuer, issuer.claims(), json.dumps(whole).encode())

    return forge


def with_text(old: str, new: str) -> Forge:
    """Signed well over claims that no JSON writer makes."""

    def forge(issuer: OpenIDIssuer) -> str:
        text = json.dumps(issuer.claims(marker=0))
        assert old in text
        return signed(issuer, text.replace(old, new).encode())

    return forge


def with_hmac_of(key: Callable[[OpenIDIssuer], bytes]) -> Forge:
    """HS256 with a publicly known text as the secret."""

    def forge(issuer: OpenIDIssuer) -> str:
        whole = f"{part({'alg': 'HS256', 'kid': issuer.key.key_id})}.{part(issuer.claims())}"
        return f"{whole}.{part(hmac.new(key(issuer), whole.encode(), hashlib.sha256).digest())}"

    return forge


def pem(issuer: OpenIDIssuer) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return issuer.key.key.public_key().public_bytes(serialization.Encoding.PEM, form)


def unsigned(algorithm: str) -> Forge:
    return lambda issuer: f"{part({'alg': algorithm, 'kid': issuer.key.key_id})}.{part(issuer.claims())}."


NOW = int(time.time())
FORGED: dict[str, Forge] = {
    "empty": lambda _issuer: "",
    "garbage": lambda _issuer: "a.b.c",
    "two parts": lambda issuer: issuer.token().rpartition(".")[0],
    "five parts, as if encrypted": lambda issuer: f"{issuer.token()}.a.b",
    "too long": with_claims(filler="x" * MAX_TOKEN_LENGTH),
    "alg none": unsigned("none"),
    "alg nOnE": unsigned("nOnE"),
    "alg missing": with_header(alg=None),
    "alg a list": with_header(alg=["ES256"]),
    "alg of another kind of key": with_header(alg="RS256"),
    "alg that nobody allowed": with_header(alg="ES512"),
    "HMAC with the public key": with_hmac_of(pem),
    "HMAC with the published key": with_hmac_of(lambda issuer: json.dumps(issuer.key.jwk()).encode()),
    "HMAC with nothing": with_hmac_of(lambda _issuer: b""),
    "another key under the same id": lambda issuer: SigningKey("first").sign(issuer.claims()),
    "a changed payload": lambda issuer: _with_payload(issuer.token(), issuer.claims(sub="root")),
    "no signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "typ dpop+jwt": with_header(typ="dpop+jwt"),
    "typ logout+jwt": with_header(typ="logout+jwt"),
    "typ secevent+jwt": with_header(typ="secevent+jwt"),
    "typ id-token": with_header(typ="id_token+jwt"),
    "typ a number": with_header(typ=7),
    "typ null": with_header(typ=None),
    "crit": with_header(crit=["exp"]),
    "crit that PyJWT knows": with_header(crit=["b64"], b64=True),
    "b64 false": with_header(b64=False),
    "kid a number": with_header(kid=7),
    "kid a list": with_header(kid=["first"]),
    "kid a path": with_header(kid="../../dev/null"),
    "kid SQL": with_header(kid="' OR 1=1 --"),
    "kid of NUL and half a surrogate": with_header(kid="\0\ud800"),
    "a key of its own in the header": with_header(kid="x", jwk=SigningKey("x").jwk()),
    "a header that says two things": lambda issuer: signed(
        issuer, issuer.claims(), b'{"alg":"none","alg":"ES256","kid":"first"}'
    ),
    "a header that is a list": lambda issuer: signed(issuer, issuer.claims(), b'["ES256"]'),
    "a header that is not UTF-8": lambda issuer: signed(issuer, issuer.claims(), b'{"alg":"\xff"}'),
    "a header of brackets": lambda issuer: signed(issuer, issuer.claims(), b"[" * 3000),
    "claims of brackets": lambda issuer: signed(issuer, b"[" * 3000),
    "claims that are a list": lambda issuer: signed(issuer, b"[]"),
    "another issuer": with_claims(iss="https://elsewhere.example"),
    "the issuer with a slash": lambda issuer: issuer.token(iss=f"{issuer.url}/"),
    "issuers": lambda issuer: signed(issuer, issuer.claims(iss=[issuer.url])),
    "no issuer": with_claims(iss=None),
    "another audience": with_claims(aud="account"),
    "no audience": with_claims(aud=None),
    "an empty audience": with_claims(aud=[]),
    "an audience with ours in it": with_claims(aud=f"{AUDIENCE}.evil.example"),
    "an audience that is an object": with_claims(aud={AUDIENCE: True}),
    "audiences that are not all names": with_claims(aud=[AUDIENCE, 7]),
    "no expiry": with_claims(exp=None),
    "expired": with_claims(exp=NOW - LEEWAY_SECONDS - 1),
    "expiry 0": with_claims(exp=0),
    "expiry -1": with_claims(exp=-1),
    "expiry as text": with_claims(exp=str(NOW + 600)),
    "expiry in a list": with_claims(exp=[NOW + 600]),
    "expiry true": with_claims(exp=True),
    "expiry null": with_text('"marker": 0', '"exp": null'),
    "expiry 10^400": with_claims(exp=10**400),
    "expiry 1e400": with_text('"marker": 0', '"marker": 1e400, "nbf": 1e400'),
    "expiry of 5000 digits": with_claims(exp=10**4299 + 7),
    "expiry NaN": with_claims(exp=float("nan")),
    "expiry Infinity": with_claims(exp=float("inf")),
    "NaN where nobody looks": with_text('"marker": 0', '"marker": NaN'),
    "claims given twice": with_text('"marker": 0', '"sub": "root"'),
    "roles given twice": with_text('"marker": 0', '"roles": ["mail-admin"]'),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 600),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + 600),
    "issued at text": with_claims(iat="now"),
    "no subject": with_claims(sub=None),
    "a subject that is a number": lambda issuer: signed(issuer, issuer.claims(sub=7)),
    "an empty subject": with_claims(sub=""),
    "a subject with a line break": with_claims(sub="alice\nroot logged in"),
    "a subject with half a surrogate": with_claims(sub="\ud800"),
    "a subject with a NUL": with_claims(sub="alice\0"),
    "a subject of 256 characters": with_claims(sub="a" * 256),
    "an ID token, by its nonce": with_claims(nonce="n"),
    "an ID token, by its hash": with_claims(at_hash="h"),
    "an ID token of Keycloak": with_claims(typ="ID"),
    "a refresh token of Keycloak": with_claims(typ="Refresh"),
    "an ID token of Cognito": with_claims(token_use="id"),
    "a logout token": with_claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "bound to a key that is not shown": with_claims(cnf={"jkt": "thumbprint"}),
}


def _with_payload(token: str, claims: dict[str, Any]) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{part(claims)}.{signature}"


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_no_other_token_is_accepted(tokens: OIDCTokenReader, issuer: OpenIDIssuer, forge: Forge) -> None:
    """Case 37."""
    await tokens.read(issuer.token())
    token = forge(issuer)

    with pytest.raises(NotAuthenticated) as refused:
        await tokens.read(token)

    assert refused.value.presented
    assert token not in str(refused.value) or not token
    assert issuer.fetches == 1


async def test_the_most_permissive_settings_let_no_forged_token_pass(issuer: OpenIDIssuer, clock: Clock) -> None:
    """Case 37: except for the signs of an ID token that these settings allow."""
    permissive = trusted(
        issuer,
        algorithms=frozenset(ALGORITHMS),
        id_token_claims=frozenset({"nonce", "at_hash"}),
        client_subject_claim=("sub",),
    )
    tokens = OIDCTokenReader(permissive, issuer_client(), clock)
    passed = [name for name, forge in FORGED.items() if await passes(tokens, forge(issuer))]

    assert passed == ["an ID token, by its nonce", "an ID token, by its hash"]


async def passes(tokens: OIDCTokenReader, token: str) -> bool:
    try:
        await tokens.read(token)
    except NotAuthenticated:
        return False
    return True


async def test_the_forging_helper_makes_valid_tokens_of_valid_claims(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer
) -> None:
    """Case 37: else the refusals above would prove nothing."""
    for forge in (
        with_claims(),
        with_header(),
        with_header(typ="at+jwt"),
        with_text('"marker": 0', '"marker": 1'),
    ):
        assert (await tokens.read(forge(issuer))).grants == {"manage-system-settings"}


async def test_a_thousand_unknown_key_ids_cause_one_fetch(
    tokens: OIDCTokenReader, issuer: OpenIDIssuer, clock: Clock
) -> None:
    """Case 37."""
    await tokens.read(issuer.token())
    clock.now += MIN_REFRESH_INTERVAL_SECONDS
    forged = [SigningKey(f"unknown {number}", key=issuer.key.key).sign(issuer.claims()) for number in range(1000)]

    outcomes = await asyncio.gather(*map(tokens.read, forged), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {NotAuthenticated}
    assert issuer.fetches == 2


async def test_garbage_does_not_make_us_ask_the_issuer(tokens: OIDCTokenReader, issuer: OpenIDIssuer) -> None:
    """Case 37."""
    for forge in (FORGED["garbage"], FORGED["alg none"], FORGED["HMAC with the public key"], FORGED["crit"]):
        with pytest.raises(NotAuthenticated):
            await tokens.read(forge(issuer))

    assert issuer.asked == []


@pytest.fixture
def environment(issuer: OpenIDIssuer, tmp_path: Path) -> dict[str, str]:
    """A service that accepts the issuer's tokens in addition to its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return clean | {
        "MAILSETTINGS_DATA_DIR": str(tmp_path / "data"),
        "MAILSETTINGS_ADMIN_PASSWORD": "correct horse",
        "MAILSETTINGS_OIDC_ISSUER": issuer.url,
        "MAILSETTINGS_OIDC_AUDIENCE": f"other, {AUDIENCE}",
        "MAILSETTINGS_OIDC_PERMISSIONS_CLAIM": "realm_access.roles",
        "MAILSETTINGS_OIDC_PERMISSIONS": "mail-admin=manage-system-settings,auditor=view-mail-settings",
        "MAILSETTINGS_OIDC_MAX_TOKEN_BYTES": str(LONGEST_TOKEN),
    }


LONGEST_TOKEN = 16 * 1024


def long_token(issuer: OpenIDIssuer, size: int) -> str:
    """A token of nearly *size* characters: base64 makes four of three."""
    room = size - len(issuer.token(realm_access={"roles": ["auditor"]}, filler=""))
    return issuer.token(realm_access={"roles": ["auditor"]}, filler="x" * (room * 3 // 4 - 4))


def get(url: str, path: str, token: str, filler: int = 0) -> httpx.Response:
    return httpx.get(url + path, headers={"Authorization": f"Bearer {token}", "X-Filler": "x" * filler})


def of_roles(issuer: OpenIDIssuer, *roles: str) -> str:
    return issuer.token(realm_access={"roles": list(roles)})


def test_token_of_the_issuer_opens_both_apis_as_mapped(issuer: OpenIDIssuer, environment: dict[str, str]) -> None:
    """Case 37, end to end: processes, HTTP, and nothing replaced; with a token as long as may be."""
    longest, longer = long_token(issuer, LONGEST_TOKEN), long_token(issuer, LONGEST_TOKEN + 1024)
    admin, auditor, nobody = (of_roles(issuer, role) for role in ("mail-admin", "auditor", "dancer"))
    with serving(environment) as (url, output):
        read = {name: _both(url, token) for name, token in [("admin", admin), ("auditor", auditor)]}
        refused = {path: get(url, path, nobody) for path in (SMTP_SETTINGS, MAIL_SERVER)}
        deleted = httpx.delete(url + MAIL_SERVER, headers={"Authorization": f"Bearer {auditor}"})
        forged = {
            path: get(url, path, FORGED["a changed payload"](issuer)) for path in (SMTP_SETTINGS, MAIL_SERVER)
        }
        own = httpx.post(
            url + TOKEN, data={"grant_type": "password", "username": "admin", "password": "correct horse"}
        )
        read["own"] = _both(url, own.json()["access_token"])
        long = [
            get(url, SMTP_SETTINGS, *sent).status_code for sent in ((longest, 7000), (longer,), (longest, 9000))
        ]
    log = output.read_text()

    assert read == {"admin": (200, 404), "auditor": (200, 404), "own": (200, 404)}
    assert len(longest) in range(LONGEST_TOKEN - 8, LONGEST_TOKEN + 1)
    assert long == [200, 401, 431]
    assert deleted.status_code == 403
    assert [answer.status_code for answer in refused.values()] == [403, 403]
    assert {answer.headers["WWW-Authenticate"] for answer in refused.values()} == {
        'Bearer error="insufficient_scope"'
    }
    assert [answer.status_code for answer in forged.values()] == [401, 401]
    assert {answer.headers["WWW-Authenticate"] for answer in forged.values()} == {'Bearer error="invalid_token"'}
    assert admin not in log
    assert admin.split(".")[2] not in log


def _both(url: str, token: str) -> tuple[int, int]:
    """What each API answers; there is no default mail server yet."""
    return get(url, SMTP_SETTINGS, token).status_code, get(url, MAIL_SERVER, token).status_code


def test_a_service_lives_through_its_issuer_coming_and_going(
    issuer: OpenIDIssuer, environment: dict[str, str]
) -> None:
    """Case 37: cold and away 503 in each API's shape, then good, and good while it is away again."""
    token = of_roles(issuer, "mail-admin")
    issuer.go_away()
    with serving(environment) as (url, output):
        cold = get(url, SMTP_SETTINGS, token), get(url, MAIL_SERVER, token)
        issuer.start()
        end = time.monotonic() + GUARD_SECONDS
        while (back := _both(url, token)) != (200, 404) and time.monotonic() < end:
            time.sleep(0.2)
        issuer.go_away()
        away = _both(url, issuer.token(realm_access={"roles": ["mail-admin"]}, jti="new"))
    log = output.read_text()
    issuer.start()

    message = "The access token cannot be verified right now: its issuer does not answer."
    assert [answer.status_code for answer in cold] == [503, 503]
    assert [answer.headers["Retry-After"] for answer in cold] == ["5", "5"]
    assert cold[0].json() == {"message": message}
    assert cold[1].json() == {"code": "ServiceUnavailable", "message": message}
    assert (back, away) == ((200, 404), (200, 404))
    assert (
        f"The keys of the OpenID Connect issuer {issuer.url} could not be fetched: the connection failed: refused."
        in log
    )
    assert token not in log


def test_an_unknown_permission_stops_the_start_with_a_sentence(environment: dict[str, str]) -> None:
    wrong = environment | {"MAILSETTINGS_OIDC_PERMISSIONS": "mail-admin=canary-44"}
    started = commands.run(wrong, "serve")

    assert started.returncode == 2
    assert json.loads(started.stderr)["message"] == (
        "MAILSETTINGS_OIDC_PERMISSIONS has an unknown permission; "
        "use one of: bi-service-administrator, manage-accounts, manage-devices, manage-keys, "
        "manage-system-settings, test-mail-servers, view-audit-log, view-mail-settings, view-messages, "
        "view-metrics."
    )
