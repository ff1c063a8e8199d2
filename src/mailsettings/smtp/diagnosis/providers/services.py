"""Replies of sending services: Amazon SES, SendGrid, Mailgun, Postmark, Brevo and others."""

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_AND_ENVELOPE_STAGES, LOGIN_STAGE, Advice

_SES_SMTP = 'Amazon SES Developer Guide, "Amazon SES SMTP issues", 2026-11-28'
_SES_SENDING = 'Amazon SES Developer Guide, "Amazon SES email sending errors", 2026-11-28'
_POSTMARK = 'Postmark Support, "Common SMTP connection errors", 2026-11-28'
_BREVO = 'Brevo Help, "Troubleshooting Brevo SMTP" (115000188150), 2026-11-28'

_AMAZON_SES = (
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"Email address is not verified|Domain is not verified|identities failed the check",
        "Amazon SES has not verified the sender, or the recipient while the account is in the sandbox.",
        (
            "Verify the address or its domain in the SES console, in the region of this host.",
            "Ask there to have the account moved out of the sandbox.",
        ),
        ENVELOPE,
        _SES_SENDING,
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
        f"{_SES_SMTP}; knadh/listmonk#2160 (2024-11)",
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
        _SES_SENDING,
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
_SENDGRID = (
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"does not match a verified Sender Identity",
        "SendGrid sends only for verified senders.",
        ("Verify the sender's address or domain under Sender Authentication in SendGrid.",),
        ENVELOPE,
        "EBWiki#3861 (2021-01)",
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"Maximum credits exceeded",
        "the SendGrid account has used all its credits.",
        ("Wait for the next period, or choose a larger plan.",),
        LOGIN_AND_ENVELOPE_STAGES,
        'Twilio SendGrid documentation, "SMTP errors and troubleshooting", 2026-11-28',
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"535 Authentication failed: .*(Bad username / password|grant|API key|expired|authorization)",
        "SendGrid does not accept this login: the user name is the word apikey, and the password an API key.",
        (
            "Use apikey as the user name and an API key with the permission Mail Send as the password.",
            "Check whether the key was revoked, in SendGrid under Settings, API Keys.",
        ),
        LOGIN_STAGE,
        "magento-2-smtp#334 (2021-09), sendgrid/docs#2491 (2017-02)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        r"550 Unauthenticated senders not allowed",
        "SendGrid accepts mail from logged-in clients only.",
        ("Use apikey as the user name and an API key as the password.",),
        ENVELOPE,
        "sendgrid/docs#6473 (2021-02)",
    ),
)
_MAILGUN = (
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"is not allowed to send: .*(activate|account|disabled|business verification)|account (is )?not activated"
        r"|account is disabled. Please contact support",
        "Mailgun has not activated this account or its domain, or has disabled it.",
        (
            "Log in to Mailgun and confirm the account: the activation mail, and the phone number.",
            "Check there whether the domain is active.",
        ),
        ANY_STAGE,
        "rebutify#162 (2024-06), swapmyvote#891 (2024-01)",
    ),
    Advice(
        FailureCode.RECIPIENT_REFUSED,
        r"Sandbox subdomains are for test purposes|(not|free).*authorized recipients",
        "Mailgun's sandbox domain sends to authorised recipients only.",
        ("Add the recipient to the authorised recipients in Mailgun.", "Or add and verify a domain of your own."),
        ENVELOPE,
        "swapmyvote#182 (2019-11), grunt-email-workflow#81 (2016-12)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"Mailgun is not loving your login",
        "Mailgun does not accept this user name with this password.",
        (
            "Use the SMTP login of the sending domain (Domain settings, SMTP credentials), not an API key.",
            "Use smtp.eu.mailgun.org for domains of the region EU.",
        ),
        LOGIN_STAGE,
        "mailgun/documentation#132 (2015-01), mautic-mailgun-plugin#1 (2019-05)",
    ),
)
_POSTMARK_ROWS = (
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"not a Sender Signature|Sender Signature .*(not|isn.t) (defined|found|confirmed|verified)",
        "Postmark sends only for confirmed sender signatures and verified domains.",
        ("Confirm the sender in Postmark under Sender Signatures, or verify its domain.",),
        ENVELOPE,
        "feedadoc#110 (2020-04)",
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"account is pending approval|pending approval",
        "Postmark has not approved this account yet; until then it sends to its own domain only.",
        ("Ask Postmark for the approval, or test with a recipient of the sender's own domain.",),
        LOGIN_AND_ENVELOPE_STAGES,
        "instantdb/instant#2864 (2026-08); Postmark Developer, API error 412, 2026-11-28",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"(server|SMTP) token .*(not |in)valid|invalid .*server token",
        "Postmark does not accept this login: user name and password are both the server's API token.",
        ("Use the Server API token (not the account's) as user name and as password.",),
        LOGIN_STAGE,
        _POSTMARK,
    ),
)
_BREVO_ROWS = (
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"SMTP account is not yet activated|account is not (yet )?activated",
        "Brevo has not activated the SMTP service of this account.",
        ("Ask Brevo's support to activate transactional sending for the account.",),
        ANY_STAGE,
        "fluent-smtp#157 (2023-02), supabase/agent-skills#133 (2026-07)",
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"unauthori[sz]ed IP address|IP (address )?(is )?not authori[sz]ed",
        "the account accepts logins from authorised addresses only; this machine's public address is not "
        "authorised.",
        ("Add this machine's public address at the provider: Brevo, Settings, Security, Authorised IPs.",),
        LOGIN_AND_ENVELOPE_STAGES,
        "WP Mail SMTP documentation, brevo-unauthorized-not-verified, 2026-11-28",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"535 5\.7\.0 Invalid login or password|Key not found",
        "Brevo does not accept this login: the password is an SMTP key, not an API key.",
        ("Use the SMTP login and an SMTP key from Brevo, Settings, SMTP & API, SMTP.",),
        LOGIN_STAGE,
        f"borgbackupserver#16 (2026-02); {_BREVO}",
    ),
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        r"502 5\.7\.0 Please authenticate first",
        "the server reports a missing login: the account may not have SMTP access.",
        (
            "Give the SMTP login and an SMTP key of Brevo.",
            "If they are right, ask Brevo's support whether the account may use SMTP.",
        ),
        ENVELOPE,
        "frappe/frappe#38806 (2026-04)",
    ),
)
_OTHERS = (
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"550 that IP address is not allowed to send",
        "SMTP2GO accepts mail from known addresses or logins only.",
        ("Add this machine's public address in SMTP2GO, or log in as an SMTP user.",),
        LOGIN_AND_ENVELOPE_STAGES,
        "gophish/gophish#1701 (2019-12)",
    ),
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"From header sender domain not verified",
        "SMTP2GO sends only for verified senders.",
        ("Verify the sender's domain in SMTP2GO under Sending, Verified senders.",),
        ENVELOPE,
        'SMTP2GO Support, "Common sending errors", 2026-11-28',
    ),
    Advice(
        FailureCode.SENDER_NOT_VERIFIED,
        r"domain is not (associated|registered) with (your|this) account|sender domain .*not verified",
        "the provider sends only for domains of the account.",
        ("Add the sender's domain to the account and verify it.",),
        ENVELOPE,
        "useplunk/plunk#164 (2025-03)",
    ),
)
ROWS = (*_AMAZON_SES, *_SENDGRID, *_MAILGUN, *_POSTMARK_ROWS, *_BREVO_ROWS, *_OTHERS)
