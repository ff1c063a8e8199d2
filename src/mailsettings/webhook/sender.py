"""Sign an event (Standard Webhooks 1.0.0) and deliver it to the webhook in one attempt."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from mailsettings.domain.monitoring import WaitingEvent
from mailsettings.network.http import HTTPClient, RequestFailed

TIMEOUT_SECONDS = 15.0  # Standard Webhooks, "Request timeouts": 15 to 30
KEY_PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def parse_webhook_keys(secrets: str) -> Sequence[bytes]:
    """Return the keys in *secrets*, which are separated by spaces while receivers change from one to the next.

    Each secret is `whsec_` followed by base64, or plain text. Raises `ValueError`, which does not repeat it.
    """
    keys = [_decode_key(secret) for secret in secrets.split()]
    if not keys or not all(MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES for key in keys):
        raise ValueError(
            f"it must be {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, as text or as {KEY_PREFIX} and base64"
        )
    return keys


def signed_headers(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Return the headers that prove the sender and time of *body*, and by which a receiver recognises repeats."""
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
    except binascii.Error as error:
        raise ValueError(f"{KEY_PREFIX} must be followed by base64") from error


class WebhookSender:
    """The receiver at *url*, an `https` address or an `http` one of loopback; *keys* sign."""

    def __init__(
        self, url: str, keys: Sequence[bytes], http: HTTPClient, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._url = url
        self._keys = keys
        self._http = http
        self._timeout_seconds = timeout_seconds

    async def reach(self) -> None:
        """Connect to the receiver and send nothing. Raises `RequestFailed`."""
        await self._http.reach(self._url, deadline=asyncio.get_running_loop().time() + self._timeout_seconds)

    async def deliver(self, event: WaitingEvent) -> str | None:
        """Return None after a delivery, else what went wrong, without the address and the receiver's words."""
        body = event.body.encode()
        # Each attempt has a new signature: receivers reject old signatures.
        signed = signed_headers(self._keys, event.id, int(time.time()), body)
        try:
            response = await self._http.request(
                "POST",
                self._url,
                headers={"content-type": "application/json", **signed},
                content=body,
                deadline=asyncio.get_running_loop().time() + self._timeout_seconds,
                max_body_bytes=0,
            )
        except RequestFailed as failed:
            return str(failed)
        return None if response.is_success else f"the response has the status {response.status_code}"
