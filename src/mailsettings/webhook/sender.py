"""Sign an event (Standard Webhooks 1.0.0) and deliver it to the webhook in one attempt.

The HTTP client's transport is used without the client: the client can follow redirects, keeps cookies, takes
proxies from the environment, and logs the whole URL, which may contain a secret.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

import httpx

from mailsettings import __version__
from mailsettings.domain.monitoring import WaitingEvent

KEY_PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def parse_webhook_keys(secrets: str) -> Sequence[bytes]:
    """The keys in *secrets*: one, or several with spaces between while receivers change from one to another.

    Each is `whsec_` with base64 behind it, or a plain text. Raises `ValueError`, which repeats none of them.
    """
    keys = [_decode_key(secret) for secret in secrets.split()]
    if not keys or not all(MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES for key in keys):
        raise ValueError(
            f"it must be {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, as text or as {KEY_PREFIX} and base64"
        )
    return keys


def signed_headers(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that tell a receiver who sent *body*, when, and whether it has had it before."""
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _decode_key(secret: str) -> bytes:
    if not secret.startswith(KEY_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"behind {KEY_PREFIX} there must be base64") from None


TIME_LIMIT_SECONDS = 15.0  # Standard Webhooks, "Request timeouts": 15 to 30
CONNECT_TIMEOUT_SECONDS = 5.0
Address = IPv4Address | IPv6Address
LookUp = Callable[[str], Awaitable[Sequence[Address]]]
"""All addresses of a host. Raises `OSError`."""
IsAllowed = Callable[[Address, int], Awaitable[bool]]
"""Whether a connection to this port of this address may be made."""

_CONNECT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout)


class WebhookSender:
    """The receiver at *url*, a sound `https` address or an `http` one of loopback; *keys* sign."""

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        url: str,
        keys: Sequence[bytes],
        *,
        look_up: LookUp,
        permitted: IsAllowed,
        tls: ssl.SSLContext,
        timeout_seconds: float = TIME_LIMIT_SECONDS,
    ) -> None:
        self._url = httpx.URL(url)
        self._host = self._url.raw_host.decode().strip("[]")
        self._keys = keys
        self._look_up = look_up
        self._permitted = permitted
        self._tls = tls
        self._timeout_seconds = timeout_seconds

    async def deliver(self, event: WaitingEvent) -> str | None:
        """None when it was taken, else what went wrong: nothing that the receiver said, and no address."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._deliver(event)
        except TimeoutError:
            return "it took too long"
        except (OSError, UnicodeError):
            return "the host is not found"
        except httpx.TransportError as error:
            return f"the connection failed ({type(error).__name__})"

    async def _deliver(self, event: WaitingEvent) -> str | None:
        addresses = await self._look_up(self._host)
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        # One closed address closes the host, as in a connection test.
        if not addresses or not all([await self._permitted(address, port) for address in addresses]):
            return "its address is not allowed"
        return _problem(await self._first_answer(addresses, self._headers(event), event.body.encode()))

    def _headers(self, event: WaitingEvent) -> dict[str, str]:
        # Signed at each attempt anew: receivers refuse what is old.
        signed = signed_headers(self._keys, event.id, int(time.time()), event.body.encode())
        own = {"content-type": "application/json", "user-agent": f"mailsettings/{__version__}"}
        return {"host": self._url.netloc.decode(), **own, **signed}

    async def _first_answer(self, addresses: Sequence[Address], headers: dict[str, str], body: bytes) -> int:
        """The status from the first address that takes the connection. Raises `httpx.TransportError`."""
        for address in addresses[:-1]:
            try:
                return await self._answer(address, headers, body)
            except _CONNECT_ERRORS:
                continue
        return await self._answer(addresses[-1], headers, body)

    async def _answer(self, address: Address, headers: dict[str, str], body: bytes) -> int:
        """The status alone: nothing of the answer's body is read."""
        how = {
            "sni_hostname": self._host,  # by which the certificate is verified
            "timeout": {"connect": CONNECT_TIMEOUT_SECONDS},
        }
        url = self._url.copy_with(host=str(address))
        request = httpx.Request("POST", url, headers=headers, content=body, extensions=how)
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
            return response.status_code


def _problem(status: int) -> str | None:
    return None if httpx.codes.is_success(status) else f"the answer has the status {status}"
