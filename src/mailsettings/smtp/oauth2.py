"""Access tokens for mail servers that want them: Microsoft's, by client credentials, through MSAL."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from mailsettings.domain.mail_server import OAuth2ClientCredentials
from mailsettings.domain.secret import Secret

SCOPE = "https://outlook.office365.com/.default"
TIMEOUT_SECONDS = 5
APPLICATIONS_KEPT = 64


class TokenRefused(Exception):
    """The authority gave no token; `code` is its own, `str()` its description as it was sent."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class OAuth2Tokens:
    """Gets tokens from *authority*, `https://host`; MSAL keeps them until they are about to expire."""

    def __init__(self, authority: str = "https://login.microsoftonline.com", ca_file: Path | None = None) -> None:
        self._authority = authority.rstrip("/")
        self._ca_file = ca_file
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="oauth2")
        self._application = lru_cache(APPLICATIONS_KEPT)(self._make_application)

    async def token(self, login: OAuth2ClientCredentials) -> str:
        """A token to log in as *login* with. Raises `TokenRefused`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._token, login)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _token(self, login: OAuth2ClientCredentials) -> str:
        secret = login.client_secret or Secret("")
        try:
            application = self._application(login.tenant, login.client_id, secret)
            answer = application.acquire_token_for_client([SCOPE])
        except (OSError, ValueError):
            # The library lets through what is below it, and has ValueError for a tenant without an address.
            raise TokenRefused("no_answer", "the authority does not answer as one") from None
        if "access_token" in answer:
            return str(answer["access_token"])
        raise TokenRefused(str(answer.get("error", "")), str(answer.get("error_description", "")))

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
