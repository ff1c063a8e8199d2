"""Log in: one attempt, with the one mechanism that fits best.

Servers differ: some accept the initial response on the AUTH line (RFC 4954 4), some refuse it there (501, 504),
some ignore it and ask again. LOGIN has two responses that could be mixed up, so the code waits for each challenge
and reads it: the password is never sent in reply to a challenge for the user name.
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

# Over TLS, PLAIN is as safe as any and saves a round trip. Without TLS, CRAM-MD5 hides the password.
_MECHANISMS: Mapping[bool, Sequence[str]] = {
    True: ("PLAIN", "LOGIN", "CRAM-MD5"),
    False: ("CRAM-MD5", "PLAIN", "LOGIN"),
}
XOAUTH2 = "XOAUTH2"
LOGGED_IN, CHALLENGE = 235, 334  # RFC 4954 4 and 6
ARGUMENT_REFUSED = {501, 504}
"""RFC 5321 4.2.2: the server refused the parameter as such, and has not checked the credentials."""
MAX_COMMAND_BYTES = 512
"""Octets of a command line with CRLF (RFC 5321 4.5.3.1.4); a longer response must wait for the challenge."""
MAX_CHALLENGES = 3


def password_mechanism(offered: Sequence[str], *, encrypted: bool) -> str:
    """Return the best mechanism of those *offered*. Raises `StageFailed`."""
    for mechanism in _MECHANISMS[encrypted]:
        if mechanism in offered:
            return mechanism
    explanation = "the server offers no password login (PLAIN, LOGIN or CRAM-MD5)."
    raise StageFailed(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


def require_xoauth2(offered: Sequence[str]) -> None:
    """Check that XOAUTH2 is among the mechanisms *offered*. Raises `StageFailed`."""
    if XOAUTH2 not in offered:
        explanation = "the server offers no OAuth2 login (XOAUTH2)."
        raise StageFailed(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


async def log_in(session: Session, mechanism: str, username: str, password: str) -> SMTPResponse:
    """Make one login attempt; several failures could lock the account. Raises `ReplyError`."""
    if mechanism == "PLAIN":  # RFC 4616
        answer = await _begin(session, b"PLAIN", auth_plain_encode(username, password))
    elif mechanism == "LOGIN":
        answer = await _log_in_by_login(session, *auth_login_encode(username, password))
    else:  # RFC 2195
        challenge = await session.send_expecting(b"AUTH", b"CRAM-MD5", wanted=CHALLENGE)
        answer = await session.send(auth_crammd5_verify(username, password, challenge.message))
    return _require_logged_in(answer)


async def log_in_by_token(session: Session, username: str, token: str) -> SMTPResponse:
    """Log in with an access token (XOAUTH2). Raises `ReplyError`, `TokenRejected`."""
    answer = await _begin(session, XOAUTH2.encode(), auth_xoauth2_encode(username, token))
    if answer.code != CHALLENGE:
        return _require_logged_in(answer)
    challenge = _challenge_details(answer.message)
    # The server sends the error as a challenge, and its reply only after an empty response (Google, "XOAUTH2").
    refusal = await session.send(b"")
    if refusal.code != LOGGED_IN:
        raise TokenRejected(refusal.code, refusal.message, challenge)
    return refusal


async def _begin(session: Session, mechanism: bytes, response: bytes) -> SMTPResponse:
    """Send *response* on the AUTH line if it fits, else after the challenge, and return the reply.

    A server that refuses or ignores the response on the AUTH line has not used it, so sending it again is still
    one login attempt.
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
    """Return "password" or "user name", as a LOGIN challenge requests, or None if it is unclear.

    Most servers send "Username:" and "Password:" in Base64, some in plain text.
    """
    text = challenge.strip()
    with suppress(ValueError):
        text = base64.b64decode(text, validate=True).decode("ascii")
    text = text.lower()
    if "pass" in text:
        return "password"
    return "user name" if any(word in text for word in ("user", "name", "login", "mail")) else None


def _repeats_request(answer: SMTPResponse, mechanism: bytes) -> bool:
    """Return whether *answer* requests the response again. For XOAUTH2 a challenge with content is an error."""
    return answer.code == CHALLENGE and (mechanism == b"PLAIN" or not answer.message.strip())


def _require_logged_in(answer: SMTPResponse) -> SMTPResponse:
    if answer.code != LOGGED_IN:
        raise ReplyError(answer.code, answer.message)
    return answer


def _challenge_details(text: str) -> str:
    """Return `status` and `schemes` of the JSON in the challenge, or "". The text is not yet redacted."""
    try:
        members = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    if not isinstance(members, dict):
        return ""
    known = {name: members.get(name) for name in ("status", "schemes")}
    return ", ".join(f"{name} {value}" for name, value in known.items() if isinstance(value, str | int))
