"""The replies to a device when its message cannot be handed on.

The relay's own trouble with a mail server is never permanent for a device (5xx): the message is good and may be
sent again later. A mail server's own refusal of a message keeps its code and its words. RFC 3463 has the enhanced
codes.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import lru_cache

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.values import MASK
from mailsettings.relay.replies import OutcomeUnknown, Refused, Reply
from mailsettings.smtp.diagnosis.failures import explain_error
from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.journal import Journal

RECIPIENT_ACCEPTED = Reply(250, "2.1.5", "OK")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
NOT_8BIT = Reply(554, "5.6.3", "The mail server takes only 7-bit content; send it as quoted-printable or base64")
NOT_SMTPUTF8 = Reply(550, "5.6.7", "The mail server does not take addresses with other than ASCII characters")
ENDING = Reply(421, "4.3.2", "The relay is shutting down, try again later")
MAX_LINE_LENGTH = 400
_CLOSING, _BUSY = 421, 432
_LATER, _NEVER = 4, 5  # RFC 5321 4.2.1: first digits
_LOGIN_REFUSALS = {530, 534, 535, 538}
"""RFC 4954 6: about our login, whichever command they answer."""
_OUT_OF_ORDER = 503

_SETTINGS = ("4.3.5", "mail server settings not usable")
_NOT_REACHED = ("4.4.1", "mail server not reached")
_SILENT = ("4.4.2", "mail server did not answer")
_LOST = ("4.4.2", "connection to the mail server lost")
_NOT_READY = ("4.3.2", "mail server not ready")
_BY_CODE: Mapping[FailureCode, tuple[str, str]] = {
    **dict.fromkeys(
        (
            *(FailureCode.SETTING_INVALID, FailureCode.SECRET_UNREADABLE, FailureCode.CLEARTEXT_CREDENTIALS),
            *(FailureCode.ADDRESS_NOT_ALLOWED, FailureCode.PORT_NOT_ALLOWED, FailureCode.NOT_SMTP),
        ),
        _SETTINGS,
    ),
    FailureCode.CONNECTION_TIMED_OUT: _NOT_REACHED,
    FailureCode.DEADLINE_EXCEEDED: _SILENT,
    FailureCode.CONNECTION_LOST: _LOST,
    FailureCode.DELIVERY_UNKNOWN: ("4.4.2", "no answer to the whole message, which may have been sent"),
}
_BY_STAGE: Mapping[ProbeStage, tuple[str, str]] = {
    ProbeStage.RESOLVE: ("4.4.3", "mail server not found"),
    ProbeStage.CONNECT: _NOT_REACHED,
    ProbeStage.GREET: _NOT_READY,
    ProbeStage.SECURE: ("4.7.5", "connection to the mail server not secure"),
    ProbeStage.AUTHENTICATE: ("4.7.0", "provider login failed"),
}
_CONFUSED = ("4.3.0", "mail server gave an unexpected reply")
_LOGIN_MISSING = {FailureCode.AUTHENTICATION_REQUIRED, FailureCode.ENCRYPTION_REQUIRED}


INTERNAL = Refused(Reply(451, "4.3.0", "internal error of the relay: internal"), FailureCode.INTERNAL.value)


def login_refused(failure: str) -> Refused:
    """Return the refusal of a message while the mail server refuses the stored login."""
    return Refused(Reply(454, "4.7.0", f"provider login failed: {failure}"), failure)


def busy(reason: str, words: str = "") -> Refused:
    """Return the refusal after the hold time: *reason* is our code, *words* are the mail server's."""
    said = f" ({words})" if words else ""
    return Refused(Reply(451, "4.3.2", _wrapped(f"mail server busy: {reason}{said}")), reason)


def of_failure(found: ProbeFailure) -> Refused:
    """Return the refusal of a message for which no connection could be made."""
    enhanced, text = _BY_CODE.get(found.code) or _BY_STAGE.get(found.stage) or _CONFUSED
    code = 454 if enhanced == _BY_STAGE[ProbeStage.AUTHENTICATE][0] else 451  # RFC 4954 6
    kind = OutcomeUnknown if found.code is FailureCode.DELIVERY_UNKNOWN else Refused
    return kind(Reply(code, enhanced, f"{text}: {found.code.value}"), found.code.value)


def of_error(error: Exception, journal: Journal) -> Refused:
    """Return the refusal for *error* at a command of the envelope or the message; *journal* is at its stage."""
    found = explain_error(error, journal)
    if not isinstance(error, ReplyError) or error.code // 100 not in {_LATER, _NEVER}:
        return of_failure(found)
    if error.code in _LOGIN_REFUSALS or found.code in _LOGIN_MISSING:
        return login_refused(found.code.value)
    if error.code == _CLOSING:
        return Refused(Reply(451, "4.3.2", f"{_NOT_READY[1]}: {found.code.value}"), found.code.value)
    if error.code == _OUT_OF_ORDER:  # the relay's own mistake, or the server's
        return Refused(Reply(451, _CONFUSED[0], f"{_CONFUSED[1]}: {found.code.value}"), found.code.value)
    return Refused(passed(error.code, error.text, journal), found.code.value)


def passed(code: int, text: str, journal: Journal) -> Reply:
    """Return the mail server's own reply, without our secrets, login and host."""
    return reply_of(journal.reply(code, text), journal)


def reply_of(said: SMTPReply, journal: Journal) -> Reply:
    """Return *said*, which has no secrets any more, without our login and host."""
    server = journal.server
    names = [server.host, server.authentication.username or ""]
    text = _without([name for name in names if name and name not in journal.sent], said.text)
    fits = said.enhanced_code is not None and said.enhanced_code[0] == str(said.code)[0]
    enhanced = said.enhanced_code if fits else f"{said.code // 100}.0.0"  # RFC 2034 4: each reply has one
    return Reply(said.code, enhanced, _wrapped(text) or "no reason given")


def _without(names: Sequence[str], text: str) -> str:
    for name in names:
        text = _as_word(name).sub(MASK, text)
    return text


@lru_cache(256)
def _as_word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def _wrapped(text: str) -> str:
    """Return *text* in ASCII, in lines that fit a reply (RFC 5321 4.5.3.1.5)."""
    plain = text.encode("ascii", "replace").decode()
    if len(plain) <= MAX_LINE_LENGTH:
        return plain
    return "\n".join(textwrap.wrap(plain, MAX_LINE_LENGTH))


def is_about_the_server(said: Reply) -> bool:
    """Return whether a temporary refusal of MAIL holds for every message: no other should be tried at once.

    421 and 432 mean that the server has too much to do (RFC 5321 3.8; Exchange's "Concurrent connections limit
    exceeded"); so do the subjects X.3 (mail system), X.4 (network and routing) and X.7 (policy) of RFC 3463.
    """
    return said.code in {_CLOSING, _BUSY} or (said.enhanced or "")[2:4] in {"3.", "4.", "7."}
