"""Read a login (RFC 4954): AUTH PLAIN (RFC 4616) and AUTH LOGIN, with and without initial response."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from mailsettings.relay.incoming import refusals
from mailsettings.relay.replies import Refused

MECHANISMS = "PLAIN LOGIN"
Ask = Callable[[str], Awaitable[str]]
"""Sends a challenge, in base64, and returns the client's line without its end."""
_USER_NAME = base64.b64encode(b"Username:").decode()
_PASSWORD = base64.b64encode(b"Password:").decode()


class Credentials(NamedTuple):
    """A user name and a secret as the client sent them."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials()"


async def read_credentials(argument: str, ask: Ask) -> Credentials:
    """Return the credentials that follow AUTH *argument*. Raises `Refused`."""
    mechanism, _, initial = argument.partition(" ")
    match mechanism.upper():
        case "PLAIN":
            return _plain(await _response(initial.strip(), ask, ""))
        case "LOGIN":
            name = await _response(initial.strip(), ask, _USER_NAME)
            return Credentials(name, await _response("", ask, _PASSWORD))
        case _:
            raise Refused(refusals.UNKNOWN_MECHANISM)


async def _response(initial: str, ask: Ask, challenge: str) -> str:
    """Return the decoded initial response, or ask for a response; `=` is an empty initial response."""
    text = initial or await ask(challenge)
    if text == "*":
        raise Refused(refusals.LOGIN_CANCELLED)
    if initial == "=":
        return ""
    try:
        # Some devices leave the padding out.
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise Refused(refusals.NOT_BASE64) from None


def _plain(response: str) -> Credentials:
    """Return the credentials of PLAIN; an identity to act as must be the same as the name."""
    parts = response.split("\0")
    if len(parts) != 3:  # noqa: PLR2004  # RFC 4616 2: identity, name, secret
        raise Refused(refusals.NOT_BASE64)
    identity, name, secret = parts
    if identity not in {"", name}:
        raise Refused(refusals.LOGIN_REFUSED)
    return Credentials(name, secret)
