"""Replies that big providers are known for, as plain steps. Each row says where it is known from.

A row is tried before the general rules; the server's own words are shown beside it in any case.
"""

import re
from dataclasses import dataclass

from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.probe import FailureCode, ProbeStage


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reply with these *words* means; looked for in code, enhanced code and text together."""

    code: FailureCode
    words: str
    explanation: str
    steps: tuple[str, ...]
    stages: tuple[ProbeStage, ...]

    def fits(self, reply: SMTPReply, stage: ProbeStage) -> bool:
        """Whether it is about *reply*, given in *stage*."""
        return stage in self.stages and re.search(self.words, str(reply), re.IGNORECASE) is not None


_LOGIN = (ProbeStage.AUTHENTICATE,)
_ANY = (*_LOGIN, *ENVELOPE)

TABLE = (
    # Microsoft 365. Source: Microsoft Learn, "Enable or disable authenticated client SMTP submission (SMTP AUTH)
    # in Exchange Online", and its error texts "SmtpClientAuthentication is disabled for the Tenant/Mailbox".
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"5\.7\.139 .*SmtpClientAuthentication is disabled",
        "Microsoft 365 has SMTP AUTH switched off for this mailbox or the whole organisation.",
        (
            "Switch on Authenticated SMTP under the user's Mail, Manage email apps, in the admin center.",
            "Or use OAuth2, which stays when login by password goes.",
        ),
        _LOGIN,
    ),
    # Source: Microsoft Learn, "Security defaults in Microsoft Entra ID" and "Deprecation of Basic authentication
    # in Exchange Online": 535 5.7.139 with other words comes from security defaults, policies and locked users.
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"5\.7\.139 ",
        "Microsoft 365 refused the login by a policy: security defaults, conditional access, or a locked account.",
        (
            "Look for the refused sign-in, and the policy that refused it, in Microsoft Entra's sign-in logs.",
            "Or use OAuth2, which these policies are meant for.",
        ),
        _LOGIN,
    ),
    # Source: Microsoft Learn, "How to set up a multifunction device or application to send email using
    # Microsoft 365", the section on 5.7.57.
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        r"5\.7\.57 ",
        "Microsoft 365 takes mail on this port from logged-in clients only.",
        ("Log in as the mailbox that sends.", "Or send through a connector, on port 25, from a known address."),
        ENVELOPE,
    ),
    # Source: the same page, the section on 5.7.60.
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"5\.7\.60 |SendAsDenied",
        "the mailbox that logs in may not send as this sender.",
        (
            "Use the address of the mailbox that logs in as the sender.",
            "Or give that mailbox the permission Send As on the sender's mailbox in Exchange.",
        ),
        ENVELOPE,
    ),
    # Gmail. Source: Google Workspace Admin Help, "SMTP error reference" (answer 3726730): 534 5.7.9.
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"application-specific password",
        "Google wants an app password where the account has 2-step verification.",
        (
            "Make an app password at myaccount.google.com/apppasswords.",
            "Use its sixteen letters in place of the account's password.",
        ),
        _LOGIN,
    ),
    # Source: the same page: 535 5.7.8 with the address of the page "BadCredentials".
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"5\.7\.8 .*(BadCredentials|gsmtp)",
        "Google does not take this user name with this password.",
        (
            "Use the whole mail address as the user name.",
            "Use an app password: Google takes no other password from programs.",
        ),
        _LOGIN,
    ),
    # Source: the same page: 550 5.4.5 daily user sending limit, 454 4.7.0 too many login attempts.
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"5\.4\.5 .*(limit|quota)|454 4\.7\.0 .*too many",
        "Google's limit for this account is reached.",
        ("Wait up to a day.", "Or send through a service made for many mails."),
        _ANY,
    ),
    # Yahoo and AOL. Source: Yahoo Help, "Generate and manage third-party app passwords"; reply (#AUTH...).
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"535 5\.7\.0 \(#AUTH|application-specific|app password",
        "the provider wants an app password, or has locked the account after too many attempts.",
        ("Make an app password in the account's security settings.", "Use it in place of the password."),
        _LOGIN,
    ),
    # Amazon SES. Source: Amazon SES Developer Guide, "Amazon SES SMTP issues" and "Email sending errors".
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"Email address is not verified",
        "Amazon SES has not verified the sender, or the recipient while the account is in the sandbox.",
        (
            "Verify the address or its domain in the SES console, in the region of this host.",
            "Ask there to have the account moved out of the sandbox.",
        ),
        ENVELOPE,
    ),
    # Source: the same guide, "Obtaining Amazon SES SMTP credentials".
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"535 Authentication Credentials Invalid",
        "Amazon SES does not take these credentials, which are not AWS access keys and belong to one region.",
        ("Make SMTP credentials in the SES console, in the region of this host.",),
        _LOGIN,
    ),
    # Source: the same guide, "Errors related to the sending quotas": 454 Throttling failure.
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"454 .*(Throttling failure|sending rate exceeded|message quota exceeded)",
        "the Amazon SES account sends more than it may.",
        ("Wait, or ask for higher sending quotas in the SES console.",),
        _ANY,
    ),
    # SendGrid. Source: Twilio SendGrid documentation, "Sender Identity" and "SMTP errors and troubleshooting".
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"does not match a verified Sender Identity",
        "SendGrid sends only for verified senders.",
        ("Verify the sender's address or domain under Sender Authentication in SendGrid.",),
        ENVELOPE,
    ),
    # Source: the same: the user name is the word apikey; 451 Maximum credits exceeded.
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"Maximum credits exceeded",
        "the SendGrid account has used up what it may send.",
        ("Wait for the next period, or choose a larger plan.",),
        _ANY,
    ),
    # Apple iCloud. Source: Apple Support, "If you can't send or receive email": 550 5.7.0, seen with these words.
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"From address is not one of your addresses",
        "iCloud sends only from the account's own addresses and aliases.",
        ("Use one of the account's own addresses as the sender.",),
        ENVELOPE,
    ),
    # Zoho. Source: Zoho Mail Help, "SMTP error codes": 553 Sender is not allowed to relay emails.
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"Sender is not allowed to relay",
        "Zoho sends only from the address that logs in, or its aliases.",
        ("Use the account's own address as the sender.",),
        ENVELOPE,
    ),
    # Exchange, on premises as well. Source: Microsoft Learn, "SmtpResponse.SendAsDenied": 550 5.7.1 Client does
    # not have permission to send as this sender.
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"permissions? to send as this sender",
        "the account that logs in may not send as this sender.",
        ("Use the address of the account that logs in.", "Or give it the permission Send As for the sender."),
        ENVELOPE,
    ),
)


def advice_on(reply: SMTPReply, stage: ProbeStage) -> Advice | None:
    """The first row that fits, if one does."""
    return next((advice for advice in TABLE if advice.fits(reply, stage)), None)
