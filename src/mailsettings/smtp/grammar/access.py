"""Words about who may send: the login, encryption, the EHLO name, this machine, relaying."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.advice import LOGIN_STAGE, Advice

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
            "Let whoever runs this machine's network give its address a reverse name (PTR) that leads back to it.",
            "Or send through a mail server that knows this machine, and log in there.",
        ),
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"black ?list|block ?list|\b(DNS|R|RH|dns_r)BLS?\b|spamhaus|spamcop|barracuda|sorbs|uceprotect"
        r"|blocked using|(poor|bad|low) reputation|reputation (is )?(poor|bad|low)"
        r"|listed (in|on|at|by)|dynamic (IP|address|range)",
        "the server does not accept this machine: its network address is on a blocklist, as home and cloud ones "
        "often are.",
        (
            "Use the port for message submission, 587 or 465, and log in: blocklists are for port 25.",
            "Or have the address taken off the list that the reply names.",
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
