"""Signing what is sent (Standard Webhooks 1.0.0, "Signature scheme"): HMAC-SHA256 over id, time and body."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

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
