"""Words about the account and its login, about faults of the server, and about what waiting mends."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.advice import ANY_STAGE, LOGIN_STAGE, Advice

_BEFORE_RECIPIENT = (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN_STAGE, ProbeStage.SENDER)
ACCOUNT = (
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"\bSMTP\b[^.;]{0,25}(disabled|(not|n't) (enabled|activated|active)|(switched|turned) off)"
        r"|(enable|activate|(switch|turn) on) (the )?(SMTP|IMAP|POP)",
        "the account exists, and its access for mail programs is switched off.",
        ("Log in to the account by browser, and switch on SMTP in its settings.",),
        LOGIN_STAGE,
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"\b(account|user|mailbox|domain|subscription|tenant|service)\b[^.;]{0,40}\b(disabled|suspended|locked"
        r"|blocked"
        r"|inactive|deactivated|expired|closed|terminated|restricted|frozen|under review|pending|paused|on hold"
        r"|not (yet )?(been )?(activated|active|confirmed|approved|verified|enabled))"
        r"|(activate|unlock|reactivate|confirm|verify) your[^.;]{0,20}account|billing|payment required|past due",
        stages=_BEFORE_RECIPIENT,
    ),
)
LIMITS = (
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"(sending|daily|hourly|monthly|account|plan|message|mail|relay|outgoing|outbound|user)[^.;]{0,25}(limit"
        r"|quota|allowance)"
        r"|(limit|quota|allowance)[^.;]{0,25}(exceeded|reached|exhausted|used up)|mail flood|credits? (exceeded"
        r"|exhausted)",
        stages=(*LOGIN_STAGE, *ENVELOPE),
    ),
)
LOGIN_WORDS = (
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"too (many|much) ([a-z]+ )*(login|log in|auth\w*|attempt|failure|error|fail)",
        "after too many failed logins the server refuses logins from this machine or account for a while.",
        ("Wait half an hour without trying.", "Then check user name and password before the next test."),
        LOGIN_STAGE,
    ),
    Advice(
        FailureCode.MECHANISM_REFUSED,
        r"\bno mechanism|(mechanism|authentication (type|method))[^.;]{0,40}(not|n't|invalid|unknown|unsupported"
        r"|weak|unrecogni[sz]ed|disabled)"
        r"|(invalid|unknown|unsupported|unrecogni[sz]ed|bad)[^.;]{0,25}(mechanism|authentication (type|method))"
        r"|AUTH[^.;]{0,25}not (advertised|available|supported|enabled|allowed)|authentication not (enabled"
        r"|available|supported)",
        stages=LOGIN_STAGE,
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"password[^.;]{0,30}(expired|transition|change)|(expired|change)[^.;]{0,15}password",
        "the password has expired, or the server wants a new one.",
        ("Set a new password for the account, and enter it here.",),
        LOGIN_STAGE,
    ),
    Advice(
        FailureCode.SERVER_FAULT,
        r"authentication server|temporary authentication failure|generic failure|auth\w* (backend|service|daemon)"
        r"|(internal|temporary|local)[^.;]{0,20}(error|failure|problem)|(LDAP|SQL|database|backend|saslauthd"
        r"|dovecot)",
        "the server could not check the login, because a part of it is broken or out of reach.",
        stages=LOGIN_STAGE,
    ),
)
SENDING = (
    Advice(
        FailureCode.SENDING_NOT_PERMITTED,
        r"(not|n't|no) (allowed|permitted|authori[sz]ed|permission|right)s?[^.;]{0,20}(send|perform|submit|\buse)"
        r"|sending[^.;]{0,25}(disabled|denied|not allowed|blocked|prohibited)|submission[^.;]{0,15}(denied"
        r"|not allowed)"
        r"|user[^.;]{0,15}(has )?no permission",
        stages=(*LOGIN_STAGE, *ENVELOPE),
    ),
)
FAULTS = (
    Advice(
        FailureCode.SERVER_FAULT,
        r"lookup (failure|error)|(server|internal|configuration|local|software|system|database|queue|disk|write"
        r"|processing)"
        r"[^.;]{0,12}(error|failure|fault|problem)|misconfigur|out of (memory|disk|space)"
        r"|insufficient (system )?(storage|disk)"
        r"|disk (is )?full|(LDAP|MySQL|SQL|milter|policy server)",
        stages=ANY_STAGE,
    ),
)
GREYLISTING = (
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"gr[ae]y-?\s?list|verification in progress",
        "the server makes senders that it does not know wait (greylisting).",
        ("Try again in five to fifteen minutes: the second attempt is accepted.",),
    ),
)
BUSY = (
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"too (many|much)|\brate\b|throttl|overload|too busy|\bbusy\b|\bload\b|resources|concurren"
        r"|connection limit|try again"
        r"|try later|retry|later\b|come back|temporar|deferred|in \d+ (seconds|minutes)|wait",
        "the server is busy, or wants less mail at a time.",
        ("Try again in some minutes.", "If the same reply comes again, show it to whoever runs the server."),
    ),
)
"""Both are what waiting mends, for replies of the class 4 only: a 5 is meant for ever (RFC 5321 4.2.1)."""
