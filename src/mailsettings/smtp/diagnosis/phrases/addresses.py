"""Phrases about the sender, the recipient and the message."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.diagnosis.advice import Advice

_RECIPIENT_OR_CONTENT = (ProbeStage.RECIPIENT, ProbeStage.CONTENT)
_ASK = "Ask the server's administrator"
_SENDER = (
    r"(sender|mail ?from|from[- ](address|domain|header)|from: ?(address|header)?|return[- ]path"
    r"|envelope[- ]?from)"
)
_NOT = (
    r"(not|n't|cannot|rejected|denied|refused|disallowed|forbidden|invalid|incorrect|unknown|unauthori[sz]ed"
    r"|mismatch\w*)"
)
SENDER_DOMAIN = (
    Advice(FailureCode.POLICY_REFUSED, r"delivery not authori[sz]ed"),  # RFC 3463 3.8: X.7.1, which says no more
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"sender (address|domain)[^.;]{0,40}blocked using",
        "the sender's domain is on a blocklist.",
        ("Use a sender of another domain.", "Or ask the blocklist that the reply names to remove the domain."),
        ENVELOPE,
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"\b(SPF|DKIM|DMARC)\b|sender policy framework|sender is unauthenticated|required authentication level",
        "the sender's domain does not authorise this server: its SPF, DKIM or DMARC records do not allow this "
        "mail.",
        (
            "Send through a server that the domain's SPF record lists, or that signs with the domain's DKIM key.",
            "Or ask the domain's DNS administrator to add this server.",
        ),
        ENVELOPE,
    ),
)
SENDER_WORDS = (
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"sender address rejected: not owned|and sender do(es)?n.t match|sender[^.;]{0,40}(not owned|not match)"
        r"|(not|n't) (allowed|permitted|authori[sz]ed|entitled)( \w+){0,3} (send|use|relay)\w*( \w+){0,4} (as"
        r"|from|address|sender)\b"
        r"|(must|should)( be)? (the )?(same as|equal|match)|send ?as|on behalf of",
        "this login may not send as this sender address.",
        (
            "Use the address that belongs to the login as the sender.",
            f"Or {_ASK[0].lower()}{_ASK[1:]} to let this login send as this address.",
        ),
        ENVELOPE,
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"(sender|mailfrom|envelope)[^;]{0,60}(domain|MX|A record)[^;]{0,40}(not|n't|must|no )"
        r"|domain (of|for|name required for) sender|sender[^.;]{0,30}domain not found|sender verif\w+ failed"
        r"|sender[^;]{0,20}could not be verified|badmailfrom|(domain|host) must exist|must be a valid domain",
        "the server does not accept this sender: its domain has no DNS entry, or the address cannot receive mail.",
        ("Check the spelling of the sender address.", "Use a sender with an existing domain that receives mail."),
        ENVELOPE,
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        rf"\b{_SENDER}\b[^;]{{0,50}}\b{_NOT}|\b{_NOT}[^;.]{{0,20}}\b{_SENDER}\b",
        stages=ENVELOPE,
    ),
)
SIZE = (
    Advice(
        FailureCode.MESSAGE_TOO_LARGE,
        r"(message|mail|content|data)[^.;]{0,30}(too (large|big|long)|larger than)"
        r"|too (large|big|long) (a )?(message|mail)"
        r"|\b(size|length)\b[^.;]{0,30}(exceed|limit|maximum|too)|exceed[^.;]{0,30}\b(size|length)\b",
        stages=ENVELOPE,
    ),
)
RECIPIENT = (
    Advice(
        FailureCode.RECIPIENT_REFUSED,
        r"(mailbox|quota|storage)[^.;]{0,30}(full|exceed|over)|over ?quota|quota exceeded",
        "the recipient's mailbox is full.",
        ("Use another recipient, or ask the recipient to empty the mailbox.",),
        _RECIPIENT_OR_CONTENT,
    ),
    Advice(
        FailureCode.RECIPIENT_REFUSED,
        r"(user|mailbox|recipient|address|account)[^.;]{0,30}(unknown|not found|not exist|n't exist|unavailable"
        r"|invalid"
        r"|disabled|inactive|suspended|does not|n't have|no longer)|(unknown|no such|invalid|bad)[^.;]{0,15}"
        r"(user|mailbox|recipient|address|account|person)|undeliverable|unrouteable|no mailbox|not our customer",
        stages=_RECIPIENT_OR_CONTENT,
    ),
)
CONTENT = (
    Advice(
        FailureCode.STARTTLS_REFUSED,
        r"TLS (is )?(currently |temporarily )?(not available|unavailable)",
        "the server offers STARTTLS but cannot start TLS; often it cannot read its certificate or key.",
        ("Ask the server's administrator to look into its log at the time of this test.",),
        (ProbeStage.SECURE,),
    ),
    Advice(
        FailureCode.MESSAGE_REFUSED,
        r"\bspam|virus|malware|junk|unsolicited|content (filter|reject)|phish|security (issue|risk)|its content",
        "the server classified the mail as spam or malware.",
        (
            "Try another sender or recipient to find out whether the server refuses all mail.",
            f"{_ASK} which filter refused the mail; the reply often has a reference number.",
        ),
        (ProbeStage.CONTENT,),
    ),
)
