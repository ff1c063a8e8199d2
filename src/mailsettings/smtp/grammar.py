"""What servers say when they refuse, in the phrases of Postfix, Exim, sendmail, qmail and others.

The words say what a refusal is about better than the command that it answers: Postfix and sendmail judge the
client, its EHLO name and the sender at RCPT, since clients of old could not bear a refusal before. So a row holds
in every stage unless it names some. The first row that fits counts; the narrow ones come first.

Mail addresses and host names are taken out before the words are read: a host may be called relay or tls.
"""

from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.smtp.advice import ANYWHERE, LOGIN, Advice

_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]
_BEFORE_RECIPIENT = (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN, ProbeStage.SENDER)
_RECIPIENT_OR_CONTENT = (ProbeStage.RECIPIENT, ProbeStage.CONTENT)
_ASK = "Ask whoever runs the server"
_LOG_IN = r"(log ?in|logged ?in|log ?on|authenticat\w+|AUTH)"
_TLS = r"(START ?TLS|TLS|SSL|encrypt\w*|secure (connection|channel|transport))"
_NEEDED = r"(required|needed|necessary|mandatory|first|must|have to|has to|need to|needs to)"
_SENDER = r"(sender|mail ?from|from[- ](address|header)|from: ?(address|header)?|return[- ]path|envelope[- ]?from)"
_NOT = (
    r"(not|n't|cannot|rejected|denied|refused|disallowed|forbidden|invalid|incorrect|unknown|unauthori[sz]ed"
    r"|mismatch\w*)"
)

# The order of the groups matters: "authentication required for relay" wants a login, and is no word on relays.
_SENDER_DOMAIN = (
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"\b(SPF|DKIM|DMARC)\b|sender policy framework|sender is unauthenticated|required authentication level",
        "the sender's domain does not vouch for this server: its SPF, DKIM or DMARC records do not allow this "
        "mail.",
        (
            "Send through a server that the domain's SPF record lists, or whose mail the domain signs (DKIM).",
            "Or let whoever keeps the domain's DNS add this server.",
        ),
        ENVELOPE,
    ),
)
_LOGIN_WANTED = (
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
_ENCRYPTION_WANTED = (
    Advice(
        FailureCode.ENCRYPTION_REQUIRED,
        rf"\b{_TLS}\b[^.;]{{0,40}}\b{_NEEDED}\b|\b{_NEEDED}\b[^.;]{{0,40}}\b{_TLS}\b"
        rf"|\b(requires?|only|please|use|enable|without|insist\w*)\b[^.;]{{0,30}}\b{_TLS}\b"
        r"|(plain ?text|clear ?text|unencrypted|insecure)[^.;]{0,40}(not|disallowed|disabled|denied|forbidden"
        r"|refused)"
        r"|(not|never|n't)[^.;]{0,40}\b(plain ?text|clear ?text|unencrypted|insecure)\b",
    ),
)
_EHLO_NAME = (
    Advice(
        FailureCode.EHLO_NAME_REFUSED,
        # Not where EHLO itself is what the server does not know (500, 502), or misses (503).
        r"^(?!50[023]\b).*(\b(HELO|EHLO)\b(?![^.;]{0,25}\bfirst\b)[^;]{0,60}"
        r"(reject|invalid|need|should|must|denied|malformed|syntax|resolv|illegal|forged|spoof|fake|mismatch"
        r"|accept"
        r"|not |requires|valid|wrong|impersonat|argument|error)"
        r"|(invalid|bad|illegal|malformed|forged|fake|unknown|unresolvable|non-?FQDN|reject\w*)[^.;]{0,20}\b(HELO"
        r"|EHLO)\b"
        r"|helohost|fully[- ]qualified (host|domain)|invalid domain name|requires (a )?(valid )?domain (address"
        r"|name))",
    ),
)
_SENDER_WORDS = (
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
        "the server does not accept this sender: its domain has no DNS entry, or nobody receives mail at the "
        "address.",
        ("Check the spelling of the sender address.", "Use a sender whose domain exists and receives mail."),
        ENVELOPE,
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        rf"\b{_SENDER}\b[^;]{{0,50}}\b{_NOT}|\b{_NOT}[^;.]{{0,20}}\b{_SENDER}\b",
        stages=ENVELOPE,
    ),
)
_CLIENT = (
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"(cannot|can't|could not|unable to|failed to|does not|no) (find|resolve|have|look)?[^.;]{0,30}"
        r"(your (reverse )?hostname|reverse|PTR|rDNS)|\b(reverse DNS|rDNS|PTR)\b|reverse (lookup|hostname|name"
        r"|mapping)"
        r"|X?\.7\.25 |(host|IP|client)( name)? lookup failed|your hostname",
        "the server does not accept this machine: its network address has no matching reverse DNS name.",
        (
            "Let whoever runs this machine's network give its address a reverse name (PTR) that leads back to it.",
            "Or send through a mail server that knows this machine, and log in there.",
        ),
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"black ?list|block ?list|\b(DNS|R|RH)BLS?\b|spamhaus|spamcop|barracuda|sorbs|uceprotect|blocked using"
        r"|(poor|bad|low) reputation|reputation (is )?(poor|bad|low)|listed (in|on|at|by)|dynamic (IP|address"
        r"|range)",
        "the server does not accept this machine: its network address is on a blocklist, as home and cloud ones "
        "often are.",
        (
            "Use the port for message submission, 587 or 465, and log in: blocklists are for port 25.",
            "Or have the address taken off the list that the reply names.",
        ),
        (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN, *ENVELOPE),
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"client host rejected|client (address|IP|host)?[^.;]{0,20}(rejected|denied|not)|not allowed to connect"
        r"|\b(your )?(IP|host|network|address range)( address)?\b[^.;]{0,40}(not (allowed|permitted|authori[sz]ed"
        r"|in|on)"
        r"|denied|rejected|blocked|banned|refused)|(not|n't)[^.;]{0,30}from (this|your) (IP|host|address|range"
        r"|network)"
        r"|connections? (from|by)[^.;]{0,20}(refused|denied|rejected|not accepted)|connection (refused|rejected"
        r"|denied)"
        r"|black ip|too many (unauthenticated )?hosts",
    ),
)
_RELAY = (
    Advice(
        FailureCode.RELAY_REFUSED,
        r"\brelay\w*\b[^;]{0,50}(den(y|ied)|not|prohibited|disallow|refus|reject|n't|forbidden)"
        r"|(not|n't|unable to|refuse to|cannot|no)[^.;]{0,30}\brelay|allowed rcpthosts"
        r"|delivery is not allowed to this"
        r"|not (a |one of )?(our|my|local|hosted)( local)? (domain|user|customer)|non-?local (address|domain"
        r"|recipient)"
        r"|\brelay access\b",
        stages=ENVELOPE,
    ),
)
_SIZE = (
    Advice(
        FailureCode.MESSAGE_TOO_LARGE,
        r"(message|mail|size|length|content|data)[^.;]{0,30}(too (large|big|long)|exceed|limit|maximum)"
        r"|too (large|big|long) (a )?(message|mail)|exceed[^.;]{0,30}(size|length)",
        stages=ENVELOPE,
    ),
)
_RECIPIENT = (
    Advice(
        FailureCode.RECIPIENT_REFUSED,
        r"(mailbox|quota|storage)[^.;]{0,30}(full|exceed|over)|over ?quota|quota exceeded",
        "the recipient's mailbox is full.",
        ("Use another recipient, or have the mailbox emptied.",),
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
_ACCOUNT = (
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
_LIMITS = (
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"(sending|daily|hourly|monthly|account|plan|message|mail|relay|outgoing|outbound|user)[^.;]{0,25}(limit"
        r"|quota|allowance)"
        r"|(limit|quota|allowance)[^.;]{0,25}(exceeded|reached|exhausted|used up)|mail flood|credits? (exceeded"
        r"|exhausted)",
        stages=(*LOGIN, *ENVELOPE),
    ),
)
_LOGIN_WORDS = (
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"too (many|much) ([a-z]+ )*(login|log in|auth\w*|attempt|failure|error|fail)",
        "the server has seen too many failed logins, and lets nobody in from this machine or account for a while.",
        ("Wait half an hour without trying.", "Then check user name and password before the next test."),
        LOGIN,
    ),
    Advice(
        FailureCode.MECHANISM_REFUSED,
        r"(mechanism|authentication (type|method))[^.;]{0,40}(not|n't|invalid|unknown|unsupported|weak"
        r"|unrecogni[sz]ed|disabled)"
        r"|(invalid|unknown|unsupported|unrecogni[sz]ed|bad)[^.;]{0,25}(mechanism|authentication (type|method))"
        r"|AUTH[^.;]{0,25}not (advertised|available|supported|enabled|allowed)|authentication not (enabled"
        r"|available|supported)",
        stages=LOGIN,
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"password[^.;]{0,30}(expired|transition|change)|(expired|change)[^.;]{0,15}password",
        "the password has expired, or the server wants a new one.",
        ("Set a new password for the account, and enter it here.",),
        LOGIN,
    ),
    Advice(
        FailureCode.SERVER_FAULT,
        r"authentication server|temporary authentication failure|generic failure|auth\w* (backend|service|daemon)"
        r"|(internal|temporary|local)[^.;]{0,20}(error|failure|problem)|(LDAP|SQL|database|backend|saslauthd"
        r"|dovecot)",
        "the server could not check the login, because a part of it is broken or out of reach.",
        stages=LOGIN,
    ),
)
_SENDING = (
    Advice(
        FailureCode.SENDING_NOT_PERMITTED,
        r"(not|n't|no) (allowed|permitted|authori[sz]ed|permission|right)s?[^.;]{0,20}(to )?(send|perform|submit)"
        r"|sending[^.;]{0,25}(disabled|denied|not allowed|blocked|prohibited)|submission[^.;]{0,15}(denied"
        r"|not allowed)"
        r"|user[^.;]{0,15}(has )?no permission",
        stages=(*LOGIN, *ENVELOPE),
    ),
)
_CONTENT = (
    Advice(
        FailureCode.MESSAGE_REFUSED,
        r"\bspam|virus|malware|junk|unsolicited|content (filter|reject)|phish",
        "the server takes the mail for spam or worse.",
        (
            "Try again with another sender or recipient to see whether all mail is refused.",
            f"{_ASK} which of its filters it was; the reply often has a number for them.",
        ),
        (ProbeStage.CONTENT,),
    ),
)
_FAULTS = (
    Advice(
        FailureCode.SERVER_FAULT,
        r"lookup (failure|error)|(server|internal|configuration|local|software|system|database|queue|disk|write"
        r"|processing)"
        r"[^.;]{0,12}(error|failure|fault|problem)|misconfigur|out of (memory|disk|space)"
        r"|insufficient (system )?(storage|disk)"
        r"|disk (is )?full|(LDAP|MySQL|SQL|milter|policy server)",
        stages=ANYWHERE,
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
"""Both are what waiting mends. They hold for replies of the class 4 only: a 5 is meant for ever (RFC 5321 "
"4.2.1)."""
ROWS = (
    *(*_SENDER_DOMAIN, *_LOGIN_WANTED, *_ENCRYPTION_WANTED, *_EHLO_NAME, *_CLIENT, *_SENDER_WORDS),
    *(*_RELAY, *_SIZE, *_RECIPIENT, *_ACCOUNT, *_LIMITS, *_LOGIN_WORDS, *_SENDING, *_CONTENT, *_FAULTS),
)
