"""Get access tokens for mail servers from Microsoft Entra, with client credentials, through MSAL."""

import asyncio
import base64
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mailsettings.domain.certificates import SystemTrust
from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import Destination, MailServer, OAuth2ClientCredentials
from mailsettings.domain.values import Secret
from mailsettings.network.http import GuardedNetwork, HTTPClient, RequestFailed, Response
from mailsettings.network.threads import DaemonThreads
from mailsettings.network.tls import client_context
from mailsettings.smtp.tls import TLSContexts

SCOPE = "https://outlook.office365.com/.default"
TIMEOUT_SECONDS = 5
MAX_APPLICATIONS = 64
MAX_CONCURRENT_CALLS = 8

# Source: Microsoft Learn, "Microsoft Entra authentication and authorization error codes".
CODES_BY_AADSTS: Mapping[str, FailureCode] = {
    "AADSTS90002": FailureCode.OAUTH2_TENANT_UNKNOWN,  # the tenant was not found
    "AADSTS900021": FailureCode.OAUTH2_TENANT_UNKNOWN,  # it is not valid
    "AADSTS900023": FailureCode.OAUTH2_TENANT_UNKNOWN,  # it is neither a DNS name nor an external domain
    "AADSTS700016": FailureCode.OAUTH2_CLIENT_UNKNOWN,  # the application was not found in the directory
    "AADSTS7000215": FailureCode.OAUTH2_CLIENT_SECRET_WRONG,
    "AADSTS7000222": FailureCode.OAUTH2_CLIENT_SECRET_EXPIRED,
    "AADSTS65001": FailureCode.OAUTH2_CONSENT_MISSING,  # consent is missing
    "AADSTS500011": FailureCode.OAUTH2_CONSENT_MISSING,  # the resource is not known in the tenant
}
_AADSTS = re.compile(r"AADSTS\d+")
_log = logging.getLogger("mailsettings.smtp")

_ApplicationKey = tuple[Destination, str | None, Secret | None]
"""Destination, label and secret: a guessed secret never gets the token of the stored secret."""


class TokenRequestFailed(Exception):
    """The authority issued no token; `said` is its own description, not yet redacted."""

    def __init__(self, code: FailureCode, said: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token; `permissions` are the roles in it, or None if the token is opaque.

    `was_cached`: it was fetched for an earlier login, so the authority may have revoked it since.
    """

    text: str = field(repr=False)
    permissions: frozenset[str] | None
    was_cached: bool = False


class OAuth2Tokens:
    """Gets tokens from *authority*, `https://host`; MSAL caches them until shortly before they expire.

    With *ca_file*, only its authorities are trusted for the authority of tokens.
    """

    def __init__(
        self, authority: str, network: GuardedNetwork, trust: TLSContexts, ca_file: Path | None = None
    ) -> None:
        self._authority = authority.rstrip("/")
        self._network = network
        self._trust = trust
        self._ca_file = ca_file
        self._only_ca_file = cache(lambda: client_context(ca_file=ca_file))
        self._threads = DaemonThreads(MAX_CONCURRENT_CALLS, "oauth2")
        self._applications: dict[_ApplicationKey, Any] = {}
        self._running: dict[_ApplicationKey, asyncio.Future[AccessToken]] = {}
        self._latest: dict[_ApplicationKey, str] = {}

    async def token(self, server: MailServer, login: OAuth2ClientCredentials) -> AccessToken:
        """Return a token that logs in to *server* as *login*. Raises `TokenRequestFailed`.

        Logins with the same stored secret that need a token at the same time share one request.
        """
        if not _is_stored(login):
            return await self._fetch(server, login)
        key = _application_key(server)
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(self._fetch(server, login))
            running.add_done_callback(lambda ended: self._ended(key, ended))
        return await asyncio.shield(running)

    def _ended(self, key: _ApplicationKey, fetched: "asyncio.Future[AccessToken]") -> None:
        del self._running[key]
        if fetched.cancelled() or fetched.exception() is not None:  # all who waited may have left
            return
        self._latest[key] = fetched.result().text

    async def _fetch(self, server: MailServer, login: OAuth2ClientCredentials) -> AccessToken:
        tls = (
            await self._trust.context(SystemTrust())
            if self._ca_file is None
            else await asyncio.to_thread(self._only_ca_file)
        )
        http = _BlockingClient(HTTPClient(self._network, tls), asyncio.get_running_loop())
        text, was_cached = await self._threads.run(lambda: self._token(server, login, http))
        return AccessToken(text, _roles(text), was_cached)

    def forget(self, server: MailServer, token: AccessToken) -> None:
        """Drop *token* from the cache, unless another login has replaced it already.

        A token contains its permissions, so a refused token stays refused.
        """
        key = _application_key(server)
        if self._latest.get(key) == token.text:
            del self._latest[key]
            self._applications.pop(key, None)

    def _token(
        self, server: MailServer, login: OAuth2ClientCredentials, http: "_BlockingClient"
    ) -> tuple[str, bool]:
        from msal.exceptions import MsalServiceError  # noqa: PLC0415  # takes 150 ms, and most installations never need it

        try:
            application = self._application(server, login, http)
            answer = application.acquire_token_for_client([SCOPE])
            token = answer.get("access_token")
        except (RequestFailed, MsalServiceError, KeyError, RuntimeError, AttributeError, TypeError) as error:
            # No response, a 5xx, and what MSAL makes of a response that is not the expected JSON.
            reason = error if isinstance(error, RequestFailed | MsalServiceError) else "malformed response"
            _log.warning("The token authority gave no access token: %s.", reason)
            raise TokenRequestFailed(FailureCode.OAUTH2_AUTHORITY_UNREACHABLE) from error
        except ValueError as error:
            # MSAL raises ValueError if the discovery document is missing, or the tenant is unknown.
            raise _token_failure(
                str(error.__context__ or error), FailureCode.OAUTH2_AUTHORITY_UNREACHABLE
            ) from error
        if isinstance(token, str) and token:
            return token, answer.get("token_source") == "cache"
        said = f"{answer.get('error', '')}: {answer.get('error_description', '')}"
        raise _token_failure(said, FailureCode.OAUTH2_TOKEN_REFUSED)

    def _application(self, server: MailServer, login: OAuth2ClientCredentials, http: "_BlockingClient") -> Any:
        """Return the MSAL application of *server*; MSAL caches tokens per application, so destinations share none.

        A secret that is not stored gets a new application, and so a new token, each time: the test must prove that
        the secret works now.
        """
        if login.client_secret is not None and not _is_stored(login):
            return self._make_application(login, login.client_secret, http)
        key = _application_key(server)
        if key not in self._applications:
            if len(self._applications) >= MAX_APPLICATIONS:
                self._applications.clear()
                self._latest.clear()
            self._applications[key] = self._make_application(login, login.client_secret or Secret(""), http)
        return self._applications[key]

    def _make_application(self, login: OAuth2ClientCredentials, secret: Secret, http: "_BlockingClient") -> Any:
        import msal  # noqa: PLC0415  # as above

        return msal.ConfidentialClientApplication(
            login.client_id,
            client_credential=secret.reveal(),
            authority=f"{self._authority}/{login.tenant}",
            instance_discovery=False,
            http_client=http,
        )


class _BlockingClient:
    """What MSAL calls on a thread to send requests with *http* on *loop*. Names and parameters are MSAL's."""

    def __init__(self, http: HTTPClient, loop: asyncio.AbstractEventLoop) -> None:
        self._http = http
        self._loop = loop

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, **_other: object) -> Response:
        return self._send("GET", url, headers or {}, None)

    def post(
        self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str] | None = None, **_other: object
    ) -> Response:
        form = {"content-type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, {**(headers or {}), **form}, urlencode(data).encode())

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Response:
        async def send() -> Response:
            deadline = self._loop.time() + TIMEOUT_SECONDS
            return await self._http.request(method, url, headers=headers, content=content, deadline=deadline)

        return asyncio.run_coroutine_threadsafe(send(), self._loop).result()


def _is_stored(login: OAuth2ClientCredentials) -> bool:
    return login.client_secret is None or login.client_secret.is_sealed


def _application_key(server: MailServer) -> _ApplicationKey:
    return server.destination(), server.secret.label if server.secret else None, server.secret


def _token_failure(said: str, otherwise: FailureCode) -> TokenRequestFailed:
    number = _AADSTS.search(said)
    return TokenRequestFailed(
        CODES_BY_AADSTS.get(number[0], FailureCode.OAUTH2_TOKEN_REFUSED) if number else otherwise, said
    )


def _roles(token: str) -> frozenset[str] | None:
    """Return the roles in a JWT, unverified, to explain a refusal; the mail server verifies the token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # RFC 7519 3: header, payload, signature
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except (ValueError, RecursionError):
        return None
    roles = payload.get("roles", []) if isinstance(payload, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else None
