"""Phrases about who may send, about the account and its login, server faults and temporary refusals."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_STAGE, Advice

_LOG_IN = r"(log ?in|logged ?in|log ?on|authenticat\w+|AUTH(?![a-z]))"
_TLS = r"(START ?TLS|TLS|SSL|encrypt\w*|secure (connection|channel|transport))"
_NEEDED = r"(required|needed|necessary|mandatory|first|must|have to|has to|need to|needs to)"
LOGIN_WANTED = (
    Advice(FailureCode.AUTHENTICATION_REQUIRED, r"sender address rejected: not logged in", stages=ENVELOPE),
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        rf"{_LOG_IN}\b[^.;]{{0,40}}\b{_NEEDED}\b|\b{_NEEDED} (be |to |use |perform )*(SMTP[- ]?)?{_LOG_IN}\b"
        rf"|\b(requires?|needs?|wants?|please|should|use|enable)\b[^.;]{{0,30}}\b{_LOG_IN}\b"
        rf"|not (been |yet )*{_LOG_IN}|without (SMTP )?{_LOG_IN}|unauthenticated|only {_LOG_IN}|anonymous (access"
        r"|users?)",
        stages=ENVELOPE,
    ),
)
ENCRYPTION_WANTED = (
    Advice(
        FailureCode.ENCRYPTION_REQUIRED,
        rf"\b{_TLS}\b[^.;]{{0,40}}\b{_NEEDED}\b|\b{_NEEDED}\b[^.;]{{0,40}}\b{_TLS}\b"
        rf"|\b(requires?|only|please|use|enable|without|insist\w*)\b[^.;]{{0,30}}\b{_TLS}\b"
        r"|(plain ?text|clear ?text|unencrypted|insecure)[^.;]{0,40}(not|disallowed|disabled|denied|forbidden"
        r"|refused)"
        r"|(not|never|n't)[^.;]{0,40}\b(plain ?text|clear ?text|unencrypted|insecure)\b",
    ),
)
EHLO_NAME = (
    Advice(
        FailureCode.EHLO_NAME_REFUSED,
        # Not where EHLO itself is what the server does not know (500, 502), or misses (503).
        r"^(?!50[023]\b).*(\b(HELO|EHLO)\b(?![^.;]{0,25}\bfirst\b)[^;]{0,60}"
        r"(reject|invalid|need|should|must|denied|malformed|syntax|resolv|illegal|forged|spoof|fake|mismatch"
        r"|accept"
        r"|not |requires|valid|wrong|impersonat|argument|error)"
        r"|(invalid|bad|illegal|malformed|forged|fake|unknown|unresolvable|non-?FQDN|reject\w*)[^.;]{0,20}\b(HELO"
        r"|EHLO)\b|(proper|correct|real|own)[^.;]{0,30}\b(HELO|EHLO)\b"
        r"|helohost|fully[- ]qualified (host|domain)|invalid domain name|requires (a )?(valid )?domain (address"
        r"|name))",
    ),
)
CLIENT = (
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"(cannot|can't|could not|unable to|failed to|does not|no) (find|resolve|have|look)?[^.;]{0,30}"
        r"(your (reverse )?hostname|reverse|PTR|rDNS)|\b(reverse DNS|rDNS|PTR)\b|reverse (lookup|hostname|name"
        r"|mapping)"
        r"|X?\.7\.25 |(host|IP|client)( name)? lookup failed|your hostname",
        "the server does not accept this machine: its network address has no matching reverse DNS name.",
        (
            "Ask the network's administrator for a reverse name (PTR) that resolves back to this address.",
            "Or send through a mail server where this machine can log in.",
        ),
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"black ?list|block ?list|\b(DNS|R|RH|dns_r)BLS?\b|spamhaus|spamcop|barracuda|sorbs|uceprotect"
        r"|blocked using|(poor|bad|low) reputation|reputation (is )?(poor|bad|low)"
        r"|listed (in|on|at|by)|dynamic (IP|address|range)",
        "the server does not accept this machine: its network address is on a blocklist, as addresses of "
        "homes and clouds often are.",
        (
            "Use the port for message submission, 587 or 465, and log in: blocklists are for port 25.",
            "Or ask the blocklist that the reply names to remove the address.",
        ),
        (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN_STAGE, *ENVELOPE),
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"client host rejected|client (address|IP|host)?[^.;]{0,20}(rejected|denied|not|blocked|banned)"
        r"|not allowed to connect|(denied|blocked|banned|refused)[^.;]{0,12}(your|this|sending) (IP|host|network)"
        r"|\b(your )?(IP|host|network|address range)( address)?\b[^.;]{0,40}(not (allowed|permitted|authori[sz]ed"
        r"|in|on)"
        r"|denied|rejected|blocked|banned|refused)|(not|n't)[^.;]{0,30}from (this|your) (IP|host|range|network)"
        r"|connections? (from|by)[^.;]{0,20}(refused|denied|rejected|not accepted)|connection (refused|rejected"
        r"|denied)"
        r"|black ip|too many (unauthenticated )?hosts",
    ),
)
RELAY = (
    Advice(
        FailureCode.RELAY_REFUSED,
        r"\brelay\w*\b[^;]{0,50}(den(y|ied)|not|prohibited|disallow|refus|reject|n't|forbidden)"
        r"|(not|n't|unable to|refuse to|cannot|no)[^.;]{0,30}\brelay|allowed rcpthosts"
        r"|delivery is not allowed to this"
        r"|not (a |one of )?(our|my|local|hosted)( local)? (domain|user|customer)|non-?local (address|domain"
        r"|recipient)"
        r"|\brelay (access|restrict\w*)\b",
        stages=ENVELOPE,
    ),
)


_BEFORE_RECIPIENT = (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN_STAGE, ProbeStage.SENDER)
ACCOUNT = (
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"\bSMTP\b[^.;]{0,25}(disabled|(not|n't) (enabled|activated|active)|(switched|turned) off)"
        r"|(enable|activate|(switch|turn) on) (the )?(SMTP|IMAP|POP)",
        "the account's access for mail programs is switched off.",
        ("Log in to the account with a browser, and enable SMTP in its settings.",),
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
        "after too many failed logins the server refuses this machine or account for a while.",
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
        "the password has expired, or must be changed.",
        ("Set a new password for the account, and enter it here.",),
        LOGIN_STAGE,
    ),
    Advice(
        FailureCode.SERVER_FAULT,
        r"authentication server|temporary authentication failure|generic failure|auth\w* (backend|service|daemon)"
        r"|(internal|temporary|local)[^.;]{0,20}(error|failure|problem)|(LDAP|SQL|database|backend|saslauthd"
        r"|dovecot)",
        "the server could not check the login, because one of its components failed.",
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
        "the server delays mail from unknown senders (greylisting).",
        ("Try again in five to fifteen minutes: the server then accepts the mail.",),
    ),
)
BUSY = (
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"too (many|much)|\brate\b|throttl|overload|too busy|\bbusy\b|\bload\b|resources|concurren"
        r"|connection limit|try again"
        r"|try later|retry|later\b|come back|temporar|deferred|in \d+ (seconds|minutes)|wait",
        "the server is busy, or limits the rate of mail.",
        ("Try again in some minutes.", "If the reply stays the same, show it to the server's administrator."),
    ),
)
"""Both are what waiting mends, for replies of the class 4 only: a 5 is meant for ever (RFC 5321 4.2.1)."""
