"""Logging in: one attempt, by the one mechanism that fits best."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from aiosmtplib import SMTPResponse
from aiosmtplib.auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from mailsettings.domain.probe import FailureCode
from mailsettings.smtp.errors import Answered, Refused, TokenNotTaken
from mailsettings.smtp.session import Session

# Over TLS the simplest is as good as any and takes one round trip less; in clear a challenge is better.
_MECHANISMS: Mapping[bool, Sequence[str]] = {
    True: ("PLAIN", "LOGIN", "CRAM-MD5"),
    False: ("CRAM-MD5", "PLAIN", "LOGIN"),
}
XOAUTH2 = "XOAUTH2"
LOGGED_IN, CHALLENGE = 235, 334  # RFC 4954 4 and 6
LONGEST_INITIAL_RESPONSE = 512 - len("AUTH PLAIN \r\n")  # RFC 4954 4: a command is as long as others may be


def password_mechanism(offered: Sequence[str], *, encrypted: bool) -> str:
    """The mechanism to use of those *offered*. Raises `Refused`."""
    for mechanism in _MECHANISMS[encrypted]:
        if mechanism in offered:
            return mechanism
    explanation = "the server offers no login by password (PLAIN, LOGIN or CRAM-MD5)."
    raise Refused(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


def require_xoauth2(offered: Sequence[str]) -> None:
    """Raises `Refused`."""
    if XOAUTH2 not in offered:
        explanation = "the server offers no login by OAuth2 (XOAUTH2)."
        raise Refused(FailureCode.AUTHENTICATION_NOT_OFFERED, explanation)


async def log_in(session: Session, mechanism: str, username: str, password: str) -> SMTPResponse:
    """One attempt: three wrong ones would lock an account. Raises `Answered`."""
    if mechanism == "PLAIN":  # RFC 4616
        answer = auth_plain_encode(username, password)
        if len(answer) <= LONGEST_INITIAL_RESPONSE:
            return await session.say(b"AUTH", b"PLAIN", answer, wanted=LOGGED_IN)
        await session.say(b"AUTH", b"PLAIN", wanted=CHALLENGE)
        return await session.say(answer, wanted=LOGGED_IN)
    if mechanism == "LOGIN":
        name, secret = auth_login_encode(username, password)
        await session.say(b"AUTH", b"LOGIN", name, wanted=CHALLENGE)
        return await session.say(secret, wanted=LOGGED_IN)
    challenge = await session.say(b"AUTH", b"CRAM-MD5", wanted=CHALLENGE)  # RFC 2195
    return await session.say(auth_crammd5_verify(username, password, challenge.message), wanted=LOGGED_IN)


async def log_in_by_token(session: Session, username: str, token: str) -> SMTPResponse:
    """Raises `Answered`, `TokenNotTaken`."""
    try:
        return await session.say(b"AUTH", b"XOAUTH2", auth_xoauth2_encode(username, token), wanted=LOGGED_IN)
    except Answered as answer:
        if answer.code != CHALLENGE:
            raise
        challenge = _challenge(answer.text)
    try:
        # The error is a challenge that wants an empty answer before the reply that counts.
        return await session.say(b"", wanted=LOGGED_IN)
    except Answered as answer:
        raise TokenNotTaken(answer.code, answer.text, challenge) from None


def _challenge(text: str) -> str:
    """`status` and `schemes` of the JSON in the challenge, or nothing; not fit to be shown."""
    try:
        members = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    if not isinstance(members, dict):
        return ""
    known = {name: members.get(name) for name in ("status", "schemes")}
    return ", ".join(f"{name} {value}" for name, value in known.items() if isinstance(value, str | int))
