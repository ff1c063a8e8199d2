"""What servers say when they refuse, in the phrases of Postfix, Exim, sendmail, qmail and others.

The words say what a refusal is about better than the command that it answers: Postfix and sendmail judge the
client, its EHLO name and the sender at RCPT, since clients of old could not bear a refusal before. So a row holds
in every stage unless it names some. The first row that fits counts; the narrow ones come first.

Mail addresses and host names are taken out before the words are read: a host may be called relay or tls.
"""

from mailsettings.smtp.diagnosis.advice import Advice
from mailsettings.smtp.diagnosis.phrases import access, addresses
from mailsettings.smtp.diagnosis.phrases import access as accounts

GREYLISTING, BUSY = accounts.GREYLISTING, accounts.BUSY
# The order matters: "authentication required for relay" wants a login, and is no word on relays.
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
    *accounts.ACCOUNT,
    *accounts.LIMITS,
    *accounts.LOGIN_WORDS,
    *accounts.SENDING,
    *addresses.CONTENT,
    *accounts.FAULTS,
)
