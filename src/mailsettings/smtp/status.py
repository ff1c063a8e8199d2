"""What an enhanced status code says a refusal is about (RFC 3463, and the IANA registry that grew from it).

Only details that name their subject are here. X.7.1 does not, for one: Postfix gives it to every refusal.
"""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode

_CODES_BY_STATUS: Mapping[str, FailureCode] = {
    # RFC 3463 3.2, addressing: 1 to 6 and 9 are the destination's, 7 and 8 the sender's. RFC 7505: 1.10 and 7.27.
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.6", "1.10"), FailureCode.RECIPIENT_REFUSED),
    **dict.fromkeys(("1.7", "1.8", "7.27"), FailureCode.SENDER_NOT_ALLOWED),
    "2.2": FailureCode.RECIPIENT_REFUSED,  # mailbox full
    "2.3": FailureCode.MESSAGE_TOO_LARGE,  # for the mailbox
    "3.4": FailureCode.MESSAGE_TOO_LARGE,  # for the system
    "3.5": FailureCode.SERVER_FAULT,  # system incorrectly configured
    **dict.fromkeys(("7.8", "7.12"), FailureCode.AUTHENTICATION_FAILED),  # RFC 4954 6
    "7.9": FailureCode.MECHANISM_REFUSED,  # RFC 4954 6
    **dict.fromkeys(("7.10", "7.11"), FailureCode.ENCRYPTION_REQUIRED),  # RFC 5248 2.4, RFC 4954 6
    "7.13": FailureCode.ACCOUNT_DISABLED,  # RFC 5248 2.4
    **dict.fromkeys(
        [f"7.{detail}" for detail in (*range(20, 25), 26)], FailureCode.SENDER_NOT_ALLOWED
    ),  # RFC 7372
    "7.25": FailureCode.CLIENT_REFUSED,  # RFC 7372: reverse DNS validation failed
    "7.28": FailureCode.SENDING_LIMIT_REACHED,  # mail flood detected
}


def code_for_enhanced_status(enhanced_code: str | None) -> FailureCode | None:
    """What *enhanced_code* says that the refusal is about, if it says so."""
    return _CODES_BY_STATUS.get(enhanced_code.partition(".")[2]) if enhanced_code else None
