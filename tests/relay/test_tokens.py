"""Logins by access token: one request for all, and another token when the mail server refuses one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailsettings.domain.mail_server import OAuth2ClientCredentials
from mailsettings.domain.values import Secret
from mailsettings.relay.outgoing.pools import Outgoing

from support.provider import Provider, running
from support.relaying import hand_on, outgoing, refused
from support.token_authority import TOKEN, Authority, make_tokens

CODES = {
    "AADSTS7000222": "oauth2_client_secret_expired",
    "AADSTS7000215": "oauth2_client_secret_wrong",
    "AADSTS700016": "oauth2_client_unknown",
}


def token_login(secret: str = "canary-client-secret-9c4b") -> OAuth2ClientCredentials:
    stored = Secret.sealed(lambda: secret, f"label of {secret}")
    return OAuth2ClientCredentials("mailer@example.org", "client", "tenant.example", stored)


@asynccontextmanager
async def logging_in_at(authority: Authority) -> AsyncIterator[Outgoing]:
    async with outgoing(connector={"oauth2": make_tokens(authority.url)}) as out:
        yield out


@pytest.mark.parametrize("refusal", CODES)
async def test_a_refused_client_secret_is_named(authority: Authority, refusal: str) -> None:
    authority.refusal = refusal
    async with running(Provider()) as provider, logging_in_at(authority) as out:
        reply = (await refused(out, provider.stored(token_login()))).reply

    assert (reply.code, reply.enhanced) == (454, "4.7.0")
    assert reply.text == f"provider login failed: {CODES[refusal]}"
    assert provider.heard.count("MAIL") == 0


async def test_logins_at_the_same_time_share_a_token(authority: Authority) -> None:
    async with running(Provider(tokens={TOKEN}, pace=0.05)) as provider, logging_in_at(authority) as out:
        server = provider.stored(token_login())
        await asyncio.gather(*(hand_on(out, server) for _ in range(9)))

    assert (len(provider.messages), provider.most_logged_in) == (9, 3)
    assert len(authority.forms) == 1


async def test_a_revoked_token_is_replaced_unnoticed(authority: Authority) -> None:
    async with running(Provider(tokens={TOKEN})) as provider, logging_in_at(authority) as out:
        server = provider.stored(token_login())
        await hand_on(out, server)
        provider.tokens = {"canary-token-second"}
        authority.token = "canary-token-second"
        for visit in provider.visits:
            visit.drop()
        await asyncio.gather(*(hand_on(out, server) for _ in range(9)))

    assert len(provider.messages) == 10
    assert len(authority.forms) == 2


async def test_a_token_that_stays_refused_is_tried_once_more(authority: Authority) -> None:
    async with running(Provider(tokens={TOKEN})) as provider, logging_in_at(authority) as out:
        server = provider.stored(token_login())
        await hand_on(out, server)
        provider.tokens = set()
        for visit in provider.visits:
            visit.drop()
        refusals = [await refused(out, server), *await asyncio.gather(*(refused(out, server) for _ in range(9)))]

    assert {refusal.reply.text for refusal in refusals} == {"provider login failed: oauth2_login_refused"}
    assert {refusal.reply.code for refusal in refusals} == {454}
    assert len(authority.forms) == 2
    assert provider.said["535"] == 2
