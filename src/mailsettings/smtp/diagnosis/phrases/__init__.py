"""Phrases in refusals of Postfix, Exim, sendmail, qmail and other servers.

The words name the cause better than the refused command: Postfix and sendmail reject the client, its EHLO name and
the sender only at RCPT, because old clients could not handle an earlier refusal. So a row applies to every stage
unless it names some. The first matching row counts; narrow rows come first.

Mail addresses and host names are removed before: a host may be called relay or tls.
"""

from mailsettings.smtp.diagnosis.advice import Advice
from mailsettings.smtp.diagnosis.phrases import access, addresses

GREYLISTING, BUSY = access.GREYLISTING, access.BUSY
# The order matters: "authentication required for relay" is about the login, not about relaying.
ROWS: tuple[Advice, ...] = (
    *addresses.SENDER_DOMAIN,
    *access.LOGIN_WANTED,
    *access.ENCRYPTION_WANTED,
    *access.EHLO_NAME,
    *access.CLIENT,
    *addresses.SENDER_WORDS,
    *access.RELAY,
    *addresses.SIZE,
    *addresses.RECIPIENT,
    *access.ACCOUNT,
    *access.LIMITS,
    *access.LOGIN_WORDS,
    *access.SENDING,
    *addresses.CONTENT,
    *access.FAULTS,
)
