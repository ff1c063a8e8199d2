"""Why the mail was not taken."""

from collections.abc import Mapping

from mailsettings.domain.findings.meaning import ENVELOPE, Meaning
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.setting import Setting

_ASK = "Ask whoever runs the server"

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.SENDER_NOT_ALLOWED: Meaning(
        "This sender may not be used",
        "the server does not take mail from this sender.",
        ("Use a sender address that this login may send as.",),
        (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT),
        Setting.SENDER_ADDRESS,
    ),
    FailureCode.SENDER_NOT_VERIFIED: Meaning(
        "The sender is not verified with the provider",
        "the provider sends only for addresses and domains that were verified with it.",
        ("Verify the sender's address or domain with the provider.", "Or use a sender that is verified."),
        (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT),
        Setting.SENDER_ADDRESS,
    ),
    FailureCode.SENDING_LIMIT_REACHED: Meaning(
        "The account's sending limit is reached",
        "the provider takes no more mail from this account for now.",
        ("Wait until the limit is lifted, or raise it with the provider.",),
        (ProbeStage.AUTHENTICATE, *ENVELOPE),
    ),
    FailureCode.RECIPIENT_REFUSED: Meaning(
        "The recipient was refused",
        "the server does not take mail for this recipient.",
        ("Check the recipient's address.",),
        (ProbeStage.RECIPIENT,),
        Setting.RECIPIENT,
    ),
    FailureCode.RELAY_REFUSED: Meaning(
        "The server does not forward for us",
        "the server takes mail for its own domains only, from those it does not know.",
        ("Log in, if the server offers it.", f"{_ASK} to let this machine relay."),
        (ProbeStage.RECIPIENT,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.MESSAGE_REFUSED: Meaning(
        "The message was refused",
        "the server took the addresses and refused the message.",
        ("The reply says why; often the sender address does not fit the login.",),
        (ProbeStage.CONTENT,),
        Setting.SENDER_ADDRESS,
    ),
    FailureCode.DELIVERY_UNKNOWN: Meaning(
        "It is not known whether the mail was taken",
        "the whole message was sent, and the server did not say what became of it.",
        ("See whether the mail arrives before trying again.",),
        (ProbeStage.CONTENT,),
    ),
}
