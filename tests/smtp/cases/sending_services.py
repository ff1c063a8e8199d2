"""Sending services: each reply as reported by users."""

from mailsettings.domain.connection_test import FailureCode

from smtp.cases.mailbox_providers import replied
from smtp.cases.situation import AUTH, CONTENT, NO_LOGIN, RCPT, SENDER, WAITING

_AMAZON = (
    replied(
        "Amazon SES, identity",
        "Amazon SES Developer Guide",
        CONTENT,
        "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: scans@example.org",
        FailureCode.SENDER_NOT_VERIFIED,
        ("SES console",),
    ),
    replied(
        "Amazon SES, credentials",
        "listmonk#2160",
        AUTH,
        "535 Authentication Credentials Invalid",
        FailureCode.AUTHENTICATION_FAILED,
        ("SMTP credentials",),
    ),
    replied(
        "Amazon SES, quota",
        "Amazon SES Developer Guide",
        CONTENT,
        "454 Throttling failure: Daily message quota exceeded.",
        FailureCode.SENDING_LIMIT_REACHED,
        ("quotas",),
    ),
    replied(
        "Amazon SES, paused",
        "Amazon SES Developer Guide",
        CONTENT,
        "554 Message rejected: Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.",
        FailureCode.ACCOUNT_DISABLED,
        ("SES console",),
    ),
    replied(
        "Amazon SES, connections",
        "Amazon SES Developer Guide",
        SENDER,
        "421 Too many concurrent SMTP connections",
        FailureCode.TEMPORARY_REFUSAL,
        ("try again",),
    ),
)
_SENDGRID = (
    replied(
        "SendGrid, identity",
        "EBWiki#3861",
        CONTENT,
        "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.",
        FailureCode.SENDER_NOT_VERIFIED,
        ("Sender Authentication",),
    ),
    replied(
        "SendGrid, credits",
        "Twilio SendGrid",
        AUTH,
        "451 Authentication failed: Maximum credits exceeded",
        FailureCode.SENDING_LIMIT_REACHED,
        ("plan",),
    ),
    replied(
        "SendGrid, key",
        "magento-2-smtp#334",
        AUTH,
        "535 Authentication failed: Bad username / password",
        FailureCode.AUTHENTICATION_FAILED,
        ("apikey",),
    ),
    replied(
        "SendGrid, no login",
        "sendgrid/docs#6473",
        SENDER,
        "550 Unauthenticated senders not allowed",
        FailureCode.AUTHENTICATION_REQUIRED,
        ("apikey",),
        ("another sender", *WAITING),
        login=NO_LOGIN,
    ),
)
_MAILGUN = (
    replied(
        "Mailgun, activation",
        "rebutify#162",
        SENDER,
        "421 Domain sandbox1.mailgun.org is not allowed to send: Please activate your Mailgun account. Check your inbox or log in to your control panel to resend the activation email.",
        FailureCode.ACCOUNT_DISABLED,
        ("Mailgun", "account"),
        ("closing for now", *WAITING),
    ),
    replied(
        "Mailgun, not activated",
        "swapmyvote#891",
        SENDER,
        "421 account is not activated",
        FailureCode.ACCOUNT_DISABLED,
        ("account",),
        ("closing for now", *WAITING),
    ),
    replied(
        "Mailgun, sandbox",
        "swapmyvote#182",
        CONTENT,
        "554 Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings.",
        FailureCode.RECIPIENT_REFUSED,
        ("authorised recipients",),
    ),
    replied(
        "Mailgun, login",
        "mailgun/documentation#132",
        AUTH,
        "535 5.7.0 Mailgun is not loving your login or password",
        FailureCode.AUTHENTICATION_FAILED,
        ("eu.mailgun.org",),
    ),
)
_POSTMARK = (
    replied(
        "Postmark, signature",
        "feedadoc#110",
        CONTENT,
        "550 5.7.1 The 'From' address you supplied (scans@example.org) is not a Sender Signature on your account.",
        FailureCode.SENDER_NOT_VERIFIED,
        ("Sender Signatures",),
    ),
    replied(
        "Postmark, approval",
        "Postmark Developer",
        CONTENT,
        "550 5.7.1 While your account is pending approval, all 'From' addresses must share the same domain as 'To'.",
        FailureCode.ACCOUNT_DISABLED,
        ("approval",),
    ),
    replied(
        "Postmark, token",
        "Postmark Support",
        AUTH,
        "535 5.7.8 Invalid server token",
        FailureCode.AUTHENTICATION_FAILED,
        ("Server API token",),
    ),
)
_BREVO = (
    replied(
        "Brevo, activation",
        "supabase/agent-skills#133",
        SENDER,
        "502 5.7.0 Your SMTP account is not yet activated. Please contact us.",
        FailureCode.ACCOUNT_DISABLED,
        ("Brevo",),
        WAITING,
    ),
    replied(
        "Brevo, address",
        "WP Mail SMTP",
        AUTH,
        "525 5.7.1 Unauthorized IP address",
        FailureCode.CLIENT_REFUSED,
        ("public address",),
        ("password again",),
    ),
    replied(
        "Brevo, key",
        "borgbackupserver#16",
        AUTH,
        "535 5.7.0 Invalid login or password",
        FailureCode.AUTHENTICATION_FAILED,
        ("SMTP key",),
    ),
    replied(
        "Brevo, no login",
        "frappe#38806",
        SENDER,
        "502 5.7.0 Please authenticate first",
        FailureCode.AUTHENTICATION_REQUIRED,
        ("SMTP key",),
        ("another sender", *WAITING),
    ),
)
_OTHERS = (
    replied(
        "SMTP2GO, address",
        "gophish#1701",
        SENDER,
        "550 that IP address is not allowed to send",
        FailureCode.CLIENT_REFUSED,
        ("SMTP2GO",),
        WAITING,
    ),
    replied(
        "SMTP2GO, domain",
        "SMTP2GO Support",
        CONTENT,
        "550 From header sender domain not verified (example.org)",
        FailureCode.SENDER_NOT_VERIFIED,
        ("SMTP2GO",),
    ),
    replied(
        "SMTP2GO, no login",
        "SMTP2GO Support",
        RCPT,
        "550 Relay access denied - please authenticate",
        FailureCode.AUTHENTICATION_REQUIRED,
        ("password",),
        WAITING,
        login=NO_LOGIN,
    ),
    replied(
        "Plunk, domain",
        "plunk#164",
        SENDER,
        "550 This domain is not associated with your account",
        FailureCode.SENDER_NOT_VERIFIED,
        ("verify",),
    ),
)
SITUATIONS = (*_AMAZON, *_SENDGRID, *_MAILGUN, *_POSTMARK, *_BREVO, *_OTHERS)
