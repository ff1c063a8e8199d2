"""Access tokens for mail servers that want them: Microsoft's, by client credentials, through MSAL."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import Destination, MailServer, OAuth2ClientCredentials
from mailsettings.domain.secret import Secret
from mailsettings.network.threads import DaemonThreads

SCOPE = "https://outlook.office365.com/.default"
TIMEOUT_SECONDS = 5
MAX_APPLICATIONS = 64
MAX_CONCURRENT_CALLS = 8

# Source: Microsoft Learn, "Microsoft Entra authentication and authorization error codes".
_CODES_BY_AADSTS: Mapping[str, FailureCode] = {
    "AADSTS90002": FailureCode.OAUTH2_TENANT_UNKNOWN,  # the tenant was not found
    "AADSTS900021": FailureCode.OAUTH2_TENANT_UNKNOWN,  # it is not valid
    "AADSTS900023": FailureCode.OAUTH2_TENANT_UNKNOWN,  # it is neither a DNS name nor an external domain
    "AADSTS700016": FailureCode.OAUTH2_CLIENT_UNKNOWN,  # the application was not found in the directory
    "AADSTS7000215": FailureCode.OAUTH2_CLIENT_SECRET_WRONG,
    "AADSTS7000222": FailureCode.OAUTH2_CLIENT_SECRET_EXPIRED,
    "AADSTS65001": FailureCode.OAUTH2_CONSENT_MISSING,  # nobody has consented
    "AADSTS500011": FailureCode.OAUTH2_CONSENT_MISSING,  # the resource is not known in the tenant
}
_AADSTS = re.compile(r"AADSTS\d+")


_ApplicationKey = tuple[Destination, str | None, Secret | None]
"""Destination, label and text of the secret: a guess at a stored secret never meets its token."""


class TokenRequestFailed(Exception):
    """There is no token; `code` says why, `said` is the authority's own description, not fit to be shown."""

    def __init__(self, code: FailureCode, said: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`permissions` are the roles that the token names; None when it cannot be read from outside."""

    text: str = field(repr=False)
    permissions: frozenset[str] | None


class OAuth2Tokens:
    """Gets tokens from *authority*, `https://host`; MSAL keeps them until they are about to expire."""

    def __init__(self, authority: str = "https://login.microsoftonline.com", ca_file: Path | None = None) -> None:
        self._authority = authority.rstrip("/")
        self._ca_file = ca_file
        self._threads = DaemonThreads(MAX_CONCURRENT_CALLS, "oauth2")
        self._applications: dict[_ApplicationKey, Any] = {}

    async def token(self, server: MailServer, login: OAuth2ClientCredentials) -> AccessToken:
        """A token to log in to *server* as *login* with. Raises `TokenRefused`."""
        text = await self._threads.run(lambda: self._token(server, login))
        return AccessToken(text, _roles(text))

    def forget(self, server: MailServer) -> None:
        """Get a new token next time: the one that is kept was refused, and permissions are in the token."""
        self._applications.pop(_application_key(server), None)

    def _token(self, server: MailServer, login: OAuth2ClientCredentials) -> str:
        try:
            application = self._application(server, login)
            answer = application.acquire_token_for_client([SCOPE])
        except (OSError, KeyError, RuntimeError, AttributeError, TypeError):
            # What is below the library, and what an answer that is not the expected JSON makes of it.
            raise TokenRequestFailed(FailureCode.OAUTH2_AUTHORITY_UNREACHABLE) from None
        except ValueError as error:
            # The library's word for an authority that does not describe itself, or not this tenant.
            said = str(error.__context__ or error)
            raise _token_failure(said, FailureCode.OAUTH2_AUTHORITY_UNREACHABLE) from None
        token = answer.get("access_token")
        if isinstance(token, str) and token:
            return token
        said = f"{answer.get('error', '')}: {answer.get('error_description', '')}"
        raise _token_failure(said, FailureCode.OAUTH2_TOKEN_REFUSED)

    def _application(self, server: MailServer, login: OAuth2ClientCredentials) -> Any:
        """MSAL keeps a token with the application that got it, so each destination has one of its own.

        A secret that is not stored gets a new token each time: what it is tested for is whether it works now.
        """
        if login.client_secret is not None and not login.client_secret.is_sealed:
            return self._make_application(login.tenant, login.client_id, login.client_secret)
        key = _application_key(server)
        if key not in self._applications:
            if len(self._applications) >= MAX_APPLICATIONS:
                self._applications.clear()
            secret = login.client_secret or Secret("")
            self._applications[key] = self._make_application(login.tenant, login.client_id, secret)
        return self._applications[key]

    def _make_application(self, tenant: str, client_id: str, secret: Secret) -> Any:
        import msal  # noqa: PLC0415  # takes 150 ms, and most never need it
        import requests  # noqa: PLC0415  # comes with msal

        # The environment's proxies and authorities are not for this traffic, and would win over `verify`.
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self._ca_file) if self._ca_file else True
        return msal.ConfidentialClientApplication(
            client_id,
            client_credential=secret.reveal(),
            authority=f"{self._authority}/{tenant}",
            instance_discovery=False,
            http_client=session,
            timeout=TIMEOUT_SECONDS,
        )


def _application_key(server: MailServer) -> _ApplicationKey:
    return server.destination(), server.secret.label if server.secret else None, server.secret


def _token_failure(said: str, otherwise: FailureCode) -> TokenRequestFailed:
    number = _AADSTS.search(said)
    return TokenRequestFailed(
        _CODES_BY_AADSTS.get(number[0], FailureCode.OAUTH2_TOKEN_REFUSED) if number else otherwise, said
    )


def _roles(token: str) -> frozenset[str] | None:
    """The roles in a JWT's payload. It is the mail server that verifies them; this is to explain its refusal."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # RFC 7519 3: header, payload, signature
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except (ValueError, RecursionError):
        return None
    roles = payload.get("roles", []) if isinstance(payload, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else None
