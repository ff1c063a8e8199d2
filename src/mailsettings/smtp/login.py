"""Logging in: one attempt, by the one mechanism that fits best.

Servers differ in how they ask: some take the first response on the AUTH line, some refuse it there (501, 504),
some ignore it and ask again. LOGIN, whose two responses could be taken for each other, therefore waits for each
challenge and looks at it: the password is never sent where a user name is asked for.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiosmtplib import SMTPResponse
from aiosmtplib.auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from mailsettings.domain.connection_test import FailureCode
from mailsettings.smtp.errors import ReplyError, StageFailed, TokenRejected
from mailsettings.smtp.session import Session

# Over TLS the simplest is as good as any and takes one round trip less; in clear a challenge is better.
_MECHANISMS: Mapping[bool, Sequence[str]] = {
    True: ("PLAIN", "LOGIN", "CRAM-MD5"),
    False: ("CRAM-MD5", "PLAIN", "LOGIN"),
}
XOAUTH2 = "XOAUTH2"
LOGGED_IN, CHALLENGE = 235, 334  # RFC 4954 4 and 6
ARGUMENT_REFUSED = {501, 504}
"""RFC 5321 4.2.2: the syntax of, or the parameter itself, is not taken; no credentials were looked at yet."""
MAX_COMMAND_BYTES = 512
"""Octets of a command line with its CRLF; longer responses wait for the server's challenge (RFC 4954 4)."""
MAX_CHALLENGES = 3


def password_mechanism(offered: Sequence[str], *, encrypted: bool) -> str:
    """The mechanism to use of those *offered*. Raises `StageFailed`."""
    for mechanism in _MECHANISMS[encrypted]:
        if mechanism in offered:
            return mechanism
    explanation = "the server offers no password login (PLAIN, LOGIN or CRAM-MD5)."
    raise StageFailed(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


def require_xoauth2(offered: Sequence[str]) -> None:
    """Raises `StageFailed`."""
    if XOAUTH2 not in offered:
        explanation = "the server offers no OAuth2 login (XOAUTH2)."
        raise StageFailed(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


async def log_in(session: Session, mechanism: str, username: str, password: str) -> SMTPResponse:
    """Make one attempt, since three wrong ones may lock an account. Raises `Answered`."""
    if mechanism == "PLAIN":  # RFC 4616
        answer = await _begin(session, b"PLAIN", auth_plain_encode(username, password))
    elif mechanism == "LOGIN":
        answer = await _log_in_by_login(session, *auth_login_encode(username, password))
    else:  # RFC 2195
        challenge = await session.send_expecting(b"AUTH", b"CRAM-MD5", wanted=CHALLENGE)
        answer = await session.send(auth_crammd5_verify(username, password, challenge.message))
    return _require_logged_in(answer)


async def log_in_by_token(session: Session, username: str, token: str) -> SMTPResponse:
    """Raises `Answered`, `TokenRejected`."""
    answer = await _begin(session, XOAUTH2.encode(), auth_xoauth2_encode(username, token))
    if answer.code != CHALLENGE:
        return _require_logged_in(answer)
    challenge = _challenge_details(answer.message)
    # The error is a challenge that wants an empty answer before the reply that counts.
    refusal = await session.send(b"")
    if refusal.code != LOGGED_IN:
        raise TokenRejected(refusal.code, refusal.message, challenge)
    return refusal


async def _begin(session: Session, mechanism: bytes, response: bytes) -> SMTPResponse:
    """Send *response*, with the command where it fits and the server takes it there, and return the reply.

    A server that asks for it afterwards gets it then: it has not looked at it before.
    """
    if len(b"AUTH %b %b\r\n" % (mechanism, response)) <= MAX_COMMAND_BYTES:
        answer = await session.send(b"AUTH", mechanism, response)
        if _repeats_request(answer, mechanism):
            return await session.send(response)
        if answer.code not in ARGUMENT_REFUSED:
            return answer
    await session.send_expecting(b"AUTH", mechanism, wanted=CHALLENGE)
    return await session.send(response)


async def _log_in_by_login(session: Session, name: bytes, secret: bytes) -> SMTPResponse:
    answer = await session.send_expecting(b"AUTH", b"LOGIN", wanted=CHALLENGE)
    for number in range(MAX_CHALLENGES):
        asked = _requested_value(answer.message) or ("password" if number else "user name")
        answer = await session.send(secret if asked == "password" else name)
        if asked == "password" or answer.code != CHALLENGE:
            return answer
    return answer


def _requested_value(challenge: str) -> str | None:
    """Return "password" or "user name", whichever a challenge of LOGIN asks for, or None if it does not say.

    "Username:" and "Password:" are usual, in Base64 or, from some servers, as they are.
    """
    text = challenge.strip()
    with suppress(ValueError):
        text = base64.b64decode(text, validate=True).decode("ascii")
    text = text.lower()
    if "pass" in text:
        return "password"
    return "user name" if any(word in text for word in ("user", "name", "login", "mail")) else None


def _repeats_request(answer: SMTPResponse, mechanism: bytes) -> bool:
    """Whether *answer* asks for the response once more; XOAUTH2 has a challenge with content for its errors."""
    return answer.code == CHALLENGE and (mechanism == b"PLAIN" or not answer.message.strip())


def _require_logged_in(answer: SMTPResponse) -> SMTPResponse:
    if answer.code != LOGGED_IN:
        raise ReplyError(answer.code, answer.message)
    return answer


def _challenge_details(text: str) -> str:
    """`status` and `schemes` of the JSON in the challenge, or nothing; not fit to be shown."""
    try:
        members = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    if not isinstance(members, dict):
        return ""
    known = {name: members.get(name) for name in ("status", "schemes")}
    return ", ".join(f"{name} {value}" for name, value in known.items() if isinstance(value, str | int))
