"""Amazon SES."""

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_AND_ENVELOPE_STAGES, LOGIN_STAGE, Advice

_SMTP = 'Amazon SES Developer Guide, "Amazon SES SMTP issues", 2026-11-28'
_SENDING = 'Amazon SES Developer Guide, "Amazon SES email sending errors", 2026-11-28'

ROWS = (
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"Email address is not verified|Domain is not verified|identities failed the check",
        "Amazon SES has not verified the sender, or the recipient while the account is in the sandbox.",
        (
            "Verify the address or its domain in the SES console, in the region of this host.",
            "Ask there to have the account moved out of the sandbox.",
        ),
        ENVELOPE,
        _SENDING,
    ),
    Advice(
        FailureCode.SENDING_NOT_PERMITTED,
        r"not authorized to perform|ses:Send\w+",
        "the AWS user behind these SMTP credentials has no permission to send with Amazon SES.",
        (
            "Give that IAM user the permission ses:SendRawEmail for the sender's identity.",
            "Or create new SMTP credentials in the SES console, which include it.",
        ),
        LOGIN_AND_ENVELOPE_STAGES,
        "ministryofjustice/analytical-platform#6944 (2025-02)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"535 Authentication Credentials Invalid|not authori[sz]ed to use Amazon SES",
        "Amazon SES does not accept these credentials, which are not AWS access keys and belong to one region.",
        ("Create SMTP credentials in the SES console, in the region of this host.",),
        LOGIN_STAGE,
        f"{_SMTP}; knadh/listmonk#2160 (2024-11)",
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"454 .*(Throttling failure|sending rate exceeded|message quota exceeded)",
        "the Amazon SES account exceeds its sending quota.",
        ("Wait, or ask for higher sending quotas in the SES console.",),
        LOGIN_AND_ENVELOPE_STAGES,
        'Amazon SES Developer Guide, "Errors related to the sending quotas", 2026-11-28',
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"Sending (has been )?(paused|suspended)|account is (paused|suspended)|AccountSendingPaused",
        "Amazon SES has paused sending for this account or configuration set.",
        ("See the SES console for the reason: Account dashboard, or Reputation metrics.",),
        LOGIN_AND_ENVELOPE_STAGES,
        _SENDING,
    ),
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"421 Too many concurrent SMTP connections",
        "Amazon SES has more connections from this account than it allows.",
        ("Try again in a minute.",),
        ANY_STAGE,
        'Amazon SES Developer Guide, "SMTP response codes returned by Amazon SES", 2026-11-28',
    ),
)
