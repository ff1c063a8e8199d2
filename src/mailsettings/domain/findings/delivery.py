"""Failures after the login: the server did not accept the mail."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import AFTER_CONNECT, ENVELOPE, Meaning
from mailsettings.domain.setting import Setting

_ASK = "Ask the server's administrator"

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.SENDER_NOT_ALLOWED: Meaning(
        "The server refused the sender",
        "the server does not accept this sender address.",
        ("Use a sender address that this login may send as.",),
        AFTER_CONNECT,
        Setting.SENDER_ADDRESS,
    ),
    FailureCode.SENDER_NOT_VERIFIED: Meaning(
        "The sender is not verified with the provider",
        "the provider sends only for verified addresses and domains.",
        ("Verify the sender's address or domain with the provider.", "Or use a verified sender."),
        ENVELOPE,
        Setting.SENDER_ADDRESS,
    ),
    FailureCode.SENDING_LIMIT_REACHED: Meaning(
        "The account's sending limit is reached",
        "the provider accepts no more mail from this account for now.",
        ("Wait until the limit resets, or ask the provider to raise it.",),
        AFTER_CONNECT,
    ),
    FailureCode.SENDING_NOT_PERMITTED: Meaning(
        "The login may not send mail",
        "the server knows this login, and does not permit it to send mail.",
        (f"{_ASK} to let this login send mail; the reply says which permission is missing.",),
        (ProbeStage.AUTHENTICATE, *ENVELOPE),
        Setting.USERNAME,
    ),
    FailureCode.RECIPIENT_REFUSED: Meaning(
        "The recipient was refused",
        "the server does not accept mail for this recipient.",
        ("Check the recipient's address.",),
        ENVELOPE,
        Setting.RECIPIENT,
    ),
    FailureCode.RELAY_REFUSED: Meaning(
        "The server does not relay for this machine",
        "the server relays mail to other domains only for logged-in clients and known networks.",
        (
            "Log in: give a user name and a password.",
            "Or ask the server's administrator to let this machine's network address relay.",
        ),
        ENVELOPE,
        Setting.AUTHENTICATION,
    ),
    FailureCode.MESSAGE_TOO_LARGE: Meaning(
        "The message is too large for the server",
        "the test mail is larger than the server accepts.",
        (f"{_ASK} to raise its limit for the size of a message.",),
        ENVELOPE,
    ),
    FailureCode.MESSAGE_REFUSED: Meaning(
        "The message was refused",
        "the server accepted the addresses and refused the message itself.",
        (
            "Read the reply: it says what the server objects to.",
            "If the reply gives no reason, ask the server's administrator to look into its filters and its log.",
        ),
        (ProbeStage.CONTENT,),
    ),
    FailureCode.DELIVERY_UNKNOWN: Meaning(
        "The server did not confirm the mail",
        "the whole message was sent, and the server did not reply; it may have accepted the mail or not.",
        ("Check whether the mail arrives before you try again.",),
        (ProbeStage.CONTENT,),
    ),
}
