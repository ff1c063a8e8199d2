"""Microsoft client credentials, against a local authority: tokens are fetched, cached, and used."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, OAuth2ClientCredentials
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.smtp.oauth2 import OAuth2Tokens

from support.smtp_server import (
    HOST,
    SENDER,
    TRUST,
    USERNAME,
    Behaviour,
    RealServer,
    real_server,
    says,
    scripted_server,
)
from support.token_authority import TOKEN, Authority, make_tokens

CANARY = "canary-client-secret-6a1e"


@pytest.fixture
def tokens(authority: Authority) -> OAuth2Tokens:
    return make_tokens(authority.url)


def stored_secret(text: str) -> Secret:
    """A stored secret has the same label each time it is read."""
    return Secret.sealed(lambda: text, f"label of {text}")


def login(secret: str = CANARY) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(USERNAME, "client", "tenant.example", stored_secret(secret))


async def test_a_token_is_fetched_once_for_many_logins(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens
) -> None:
    security = ConnectionSecurity.STARTTLS
    prober = make_prober(oauth2=tokens, deadline_seconds=10)
    async with real_server(Behaviour(security, TOKEN)) as server:
        reports = [await prober.probe(server.settings(security, login()), "to@example.org") for _ in range(2)]

    assert [report.failure for report in reports] == [None, None]
    assert server.attempts == ["XOAUTH2", "XOAUTH2"]
    assert len(server.messages) == 2
    assert [form["scope"] for form in authority.forms] == [["https://outlook.office365.com/.default"]]
    assert "canary" not in repr(reports)


REFUSALS = {
    "AADSTS700016": FailureCode.OAUTH2_CLIENT_UNKNOWN,
    "AADSTS7000215": FailureCode.OAUTH2_CLIENT_SECRET_WRONG,
    "AADSTS7000222": FailureCode.OAUTH2_CLIENT_SECRET_EXPIRED,
    "AADSTS65001": FailureCode.OAUTH2_CONSENT_MISSING,
    "AADSTS50000": FailureCode.OAUTH2_TOKEN_REFUSED,
    "something else": FailureCode.OAUTH2_TOKEN_REFUSED,
}


@pytest.mark.parametrize(
    ("refusal", "code"),
    [pytest.param(*row, marks=pytest.mark.shows(row[1]), id=row[0]) for row in REFUSALS.items()],
)
async def test_the_authoritys_refusals_have_different_codes(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens, refusal: str, code: FailureCode
) -> None:
    authority.refusal = refusal
    failure, server = await failed(make_prober, tokens)

    assert (failure.code, failure.stage) == (code, ProbeStage.AUTHENTICATE)
    assert refusal in failure.explanation
    assert "canary" not in repr(failure)
    assert server.attempts == []


@pytest.mark.shows(FailureCode.OAUTH2_TENANT_UNKNOWN)
async def test_an_unknown_tenant_is_reported(make_prober: Any, authority: Authority, tokens: OAuth2Tokens) -> None:
    authority.unknown_tenant = True
    failure, server = await failed(make_prober, tokens)

    assert failure.code is FailureCode.OAUTH2_TENANT_UNKNOWN
    assert (failure.changes[0].setting, failure.changes[0].current) == (Setting.TENANT, "tenant.example")
    assert server.attempts == []


@pytest.mark.shows(FailureCode.OAUTH2_AUTHORITY_UNREACHABLE)
async def test_an_unreachable_authority_fails_the_login_stage(make_prober: Any) -> None:
    failure, server = await failed(make_prober, make_tokens())

    assert (failure.code, failure.stage) == (
        FailureCode.OAUTH2_AUTHORITY_UNREACHABLE,
        ProbeStage.AUTHENTICATE,
    )
    assert server.attempts == []


def jwt(**payload: Any) -> str:
    """Return a JWT with *payload*; no test verifies it."""
    parts = [{"alg": "none"}, payload]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "canary-signature"])


TOKENS = {
    "opaque": (TOKEN, FailureCode.OAUTH2_LOGIN_REFUSED),
    "with the permission": (jwt(roles=["SMTP.SendAsApp"]), FailureCode.OAUTH2_LOGIN_REFUSED),
    "with another permission": (jwt(roles=["Mail.Read"]), FailureCode.OAUTH2_CONSENT_MISSING),
    "with no permission": (jwt(), FailureCode.OAUTH2_CONSENT_MISSING),
}


@pytest.mark.parametrize(
    ("token", "code"),
    [pytest.param(*row, marks=pytest.mark.shows(row[1]), id=name) for name, row in TOKENS.items()],
)
async def test_a_rejected_token_is_explained_by_its_permissions(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens, token: str, code: FailureCode
) -> None:
    authority.token = token
    failure, server = await failed(make_prober, tokens)

    assert failure.code is code
    assert failure.reply is not None
    assert failure.reply.code == 535
    assert server.attempts == ["XOAUTH2"]
    assert token not in repr(failure)


async def test_the_challenge_of_a_rejected_token_is_decoded(make_prober: Any, tokens: OAuth2Tokens) -> None:
    challenge = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"canary"}')
    offers = b"250-mail.example.org\r\n250 AUTH XOAUTH2"
    script = says(b"220 hello", offers, b"334 " + challenge, b"535 5.7.3 Authentication unsuccessful")
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login())
        report = await make_prober(oauth2=tokens).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.OAUTH2_LOGIN_REFUSED
    assert "status 401, schemes bearer" in report.failure.explanation
    assert server.heard[-1] == b"\r\n"


HOSTILE_CHALLENGES = {
    "the token": json.dumps({"status": TOKEN, "schemes": f"a {TOKEN} b"}),
    "controls": json.dumps({"status": "\x1b]0;canary\x07\r\nThe mail server works.", "schemes": "\u202e"}),
    "half a character": '{"status": "\\ud800", "schemes": "x"}',
    "other types": '{"status": {"a": "canary"}, "schemes": ["canary"]}',
    "depth": "[" * 6000,
    "length": json.dumps({"status": "x" * 5000}),
    "no object": '"canary"',
    "not JSON": "canary",
}


@pytest.mark.parametrize("name", HOSTILE_CHALLENGES)
async def test_a_hostile_challenge_is_redacted_and_bounded(
    make_prober: Any, tokens: OAuth2Tokens, name: str
) -> None:
    challenge = base64.b64encode(HOSTILE_CHALLENGES[name].encode())
    offers = b"250-mail.example.org\r\n250 AUTH XOAUTH2"
    script = says(b"220 hello", offers, b"334 " + challenge, b"535 5.7.3 Authentication unsuccessful")
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login())
        report = await make_prober(oauth2=tokens).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.OAUTH2_LOGIN_REFUSED
    explanation = report.failure.explanation
    assert TOKEN not in explanation
    assert all(character.isprintable() for character in explanation)
    assert len(explanation) < 400
    explanation.encode()


async def test_a_rejected_token_is_not_reused(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens
) -> None:
    """The token contains the permissions: a consent given since needs a new token."""
    security = ConnectionSecurity.STARTTLS
    prober = make_prober(oauth2=tokens)
    authority.token = jwt(roles=[])
    async with real_server(Behaviour(security, "canary-after-consent")) as server:
        before = await prober.probe(server.settings(security, login()), None)
        authority.token = "canary-after-consent"
        after = await prober.probe(server.settings(security, login()), None)

    assert before.failure is not None
    assert before.failure.code is FailureCode.OAUTH2_CONSENT_MISSING
    assert after.succeeded
    assert len(authority.forms) == 2


@pytest.mark.parametrize(
    "guess",
    [Secret(CANARY), Secret.sealed(lambda: CANARY, "another label")],
    ids=["in a request", "stored for another setting"],
)
async def test_a_correct_guess_does_not_get_the_cached_token(
    authority: Authority, tokens: OAuth2Tokens, guess: Secret
) -> None:
    """A token that outlives its secret would tell that the guess is the stored secret."""
    stored = MailServer("mail.example.com", 587, ConnectionSecurity.STARTTLS, SENDER, login())
    await tokens.token(stored, login())
    guessed = replace(login(), client_secret=guess)
    await tokens.token(replace(stored, authentication=guessed), guessed)
    await tokens.token(stored, login())

    assert len(authority.forms) == 2


async def test_a_token_is_used_only_for_its_destination(authority: Authority, tokens: OAuth2Tokens) -> None:
    first = MailServer("mail.example.com", 587, ConnectionSecurity.STARTTLS, SENDER, login())
    others = [
        replace(first, host="mail.example.co"),
        replace(first, port=588),
        replace(first, security=ConnectionSecurity.IMPLICIT_TLS),
        replace(first, trust=TRUST),
        replace(first, authentication=replace(login(), username="bob")),
        replace(first, authentication=replace(login(), client_id="another")),
        replace(first, authentication=login("canary-another-secret")),
    ]
    had = []
    for number, server in enumerate([first, *others, first, replace(first, host="MAIL.example.com")]):
        authority.token = f"canary-token-{number}"
        assert isinstance(server.authentication, OAuth2ClientCredentials)
        had.append((await tokens.token(server, server.authentication)).text)

    assert had == [f"canary-token-{number}" for number in (*range(8), 0, 0)]


async def test_forgetting_one_token_keeps_the_others(authority: Authority, tokens: OAuth2Tokens) -> None:
    here = MailServer("mail.example.com", 587, ConnectionSecurity.STARTTLS, SENDER, login())
    there = replace(here, port=588)
    first, _ = [await tokens.token(server, login()) for server in (here, there)]
    tokens.forget(here, first)
    for server in (here, there):
        await tokens.token(server, login())

    assert len(authority.forms) == 3


@pytest.mark.parametrize("method", ["GET", "POST"], ids=["its description", "its token endpoint"])
async def test_an_authority_that_is_down_is_reported_as_unreachable(
    make_prober: Any,
    authority: Authority,
    tokens: OAuth2Tokens,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """The operator's log has the cause once, without what the authority said."""
    authority.down = method
    failure, _ = await failed(make_prober, tokens)

    assert failure.code is FailureCode.OAUTH2_AUTHORITY_UNREACHABLE
    assert [record.getMessage() for record in caplog.records if record.name == "mailsettings.smtp"] == [
        "The token authority gave no access token: HTTP Error: 503."
    ]
    assert "canary" not in caplog.text


async def test_the_cause_of_an_unreachable_authority_is_logged(
    make_prober: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await failed(make_prober, make_tokens())

    assert "The token authority gave no access token: the connection failed: refused." in caplog.text


async def test_the_authority_is_reached_past_the_environments_proxies(
    authority: Authority, tokens: OAuth2Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = MailServer("mail.example.com", 587, ConnectionSecurity.STARTTLS, SENDER, login())

    assert (await tokens.token(server, login())).text == TOKEN


@pytest.mark.parametrize("answer", [[], "x", None, {}, {"access_token": None}])
async def test_unexpected_json_from_the_authority_means_unreachable(
    make_prober: Any, authority: Authority, tokens: OAuth2Tokens, answer: Any
) -> None:
    authority.answer = answer
    failure, _ = await failed(make_prober, tokens)

    assert failure.code in {FailureCode.OAUTH2_AUTHORITY_UNREACHABLE, FailureCode.OAUTH2_TOKEN_REFUSED}


async def test_a_server_without_xoauth2_gets_no_token(make_prober: Any, authority: Authority) -> None:
    security = ConnectionSecurity.STARTTLS
    async with real_server(Behaviour(security, TOKEN, mechanisms=["PLAIN"])) as server:
        report = await make_prober(oauth2=make_tokens(authority.url)).probe(
            server.settings(security, login()), None
        )

    assert report.failure is not None
    assert report.failure.code is FailureCode.AUTHENTICATION_NOT_OFFERED
    assert authority.forms == []


async def failed(make_prober: Any, tokens: OAuth2Tokens) -> tuple[ProbeFailure, RealServer]:
    """The failure of a test against a server that takes none of our tokens."""
    security = ConnectionSecurity.STARTTLS
    async with real_server(Behaviour(security, "another token")) as server:
        report = await make_prober(oauth2=tokens).probe(server.settings(security, login()), None)
    assert report.failure is not None
    return report.failure, server
