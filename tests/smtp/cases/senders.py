"""Refusals of the sender, the recipient and the message, and those that waiting resolves."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.setting import Setting

from smtp.cases.situation import CONTENT, RCPT, SENDER, WAITING, Situation

_NEVER = ("check the recipient", *WAITING)


def sender(name: str, source: str, says: dict[str, str], stage: ProbeStage, *told: str) -> Situation:
    """The sender address is what the server objects to."""
    told = told or ("sender",)
    return Situation(
        name,
        source,
        says,
        FailureCode.SENDER_NOT_ALLOWED,
        stage,
        Setting.SENDER_ADDRESS,
        told,
        _NEVER,
    )


def recipient(name: str, source: str, says: dict[str, str], stage: ProbeStage = RCPT, *told: str) -> Situation:
    """The recipient is what the server objects to."""
    return Situation(
        name,
        source,
        says,
        FailureCode.RECIPIENT_REFUSED,
        stage,
        Setting.RECIPIENT,
        told or ("recipient",),
        WAITING,
    )


def for_now(name: str, source: str, says: dict[str, str], stage: ProbeStage, *told: str) -> Situation:
    """Waiting is what helps."""
    return Situation(name, source, says, FailureCode.TEMPORARY_REFUSAL, stage, told=told or ("try again",))


_SENDERS = (
    sender(
        "Postfix, sender of another login",
        "nextcloud/data_request#15, mailcow-dockerized#683",
        {"RCPT": "553 5.7.1 <scans@example.org>: Sender address rejected: not owned by user scans@example.org"},
        RCPT,
        "login",
    ),
    sender(
        "Yandex, sender of another login",
        "dokuwiki-plugin-smtp#38",
        {"MAIL": "553 5.7.1 Sender address rejected: not owned by auth user."},
        SENDER,
        "login",
    ),
    sender(
        "a sender called a recipient",
        "mybb#2578",
        {"RCPT": "554 5.7.1 Recipient address rejected: Username scans@example.org and sender doesn't match"},
        RCPT,
        "login",
    ),
    sender(
        "Postfix, sender's domain",
        "Postfix's reject_unknown_sender_domain",
        {"RCPT": "450 4.1.8 <scans@example.org>: Sender address rejected: Domain not found"},
        RCPT,
        "domain",
    ),
    sender(
        "Postfix, sender unknown",
        "Postfix's reject_unlisted_sender",
        {"RCPT": "550 5.1.0 <scans@example.org>: Sender address rejected: User unknown in virtual mailbox table"},
        RCPT,
    ),
    sender(
        "Postfix, sender refused",
        "Mailu#656",
        {"RCPT": "554 5.7.1 <scans@example.org>: Sender address rejected: Access denied"},
        RCPT,
    ),
    sender(
        "sendmail, sender's domain",
        "sendmail's check_mail",
        {"MAIL": "553 5.1.8 <scans@example.org>... Domain of sender address scans@example.org does not exist"},
        SENDER,
        "domain",
    ),
    sender(
        "sendmail, sender's domain, for now",
        "sendmail's check_mail",
        {"MAIL": "451 4.1.8 Domain of sender address scans@example.org does not resolve"},
        SENDER,
        "domain",
    ),
    sender("Exim, sender verification", "Exim's verify = sender", {"RCPT": "550 Sender verify failed"}, RCPT),
    sender(
        "qmail, sender's domain",
        "qmail's mfcheck",
        {"MAIL": "553 sorry, your envelope sender domain must exist (#5.7.1)"},
        SENDER,
        "domain",
    ),
    sender(
        "qmail, badmailfrom",
        "qmail",
        {"MAIL": "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"},
        SENDER,
    ),
    sender(
        "GoDaddy, sender's domain",
        "strapi#8125",
        {
            "MAIL": '550 <> Sender Rejected - MAILFROM must be a valid domain. Ensure the mailfrom domain: "example.org" '
            "has a valid MX or A record."
        },
        SENDER,
        "domain",
    ),
    sender("RFC 3463, by code alone", "RFC 3463 3.2", {"RCPT": "550 5.1.8 Bad domain"}, RCPT),
    sender("RFC 3463, syntax", "RFC 3463 3.2", {"RCPT": "553 5.1.7 Malformed"}, RCPT),
    sender("roundcube's host", "roundcubemail#6572", {"dot": "550 Incorrect sender header (LOCAL)"}, CONTENT),
    sender("SPF", "RFC 7372", {"MAIL": "550 5.7.23 SPF validation failed"}, SENDER, "SPF"),
    sender(
        "SPF in words", "common", {"RCPT": "550 5.7.1 SPF authentication of the domain is required"}, RCPT, "SPF"
    ),
    sender(
        "DMARC",
        "hmailserver#491",
        {
            "dot": "550-5.7.26 Your email has been blocked because the sender is unauthenticated.\n"
            "550 5.7.26 Requires all senders to authenticate with either SPF or DKIM."
        },
        CONTENT,
        "DKIM",
    ),
    Situation(
        "a rule without a reason at MAIL",
        "RFC 3463 3.8",
        {"MAIL": "550 5.7.1 Not permitted"},
        FailureCode.POLICY_REFUSED,
        SENDER,
        Setting.SENDER_ADDRESS,
        ("rule",),
        WAITING,
    ),
)
_MORE_SENDERS = (
    sender("a domain at the end", "common", {"dot": "550 From domain not allowed"}, CONTENT),
    sender(
        "Postfix, sender on a blocklist",
        "Postfix's reject_rhsbl_sender",
        {
            "RCPT": "554 5.7.1 Service unavailable; Sender address [scans@example.org] blocked using dbl.spamhaus.org"
        },
        RCPT,
        "blocklist",
    ),
    sender(
        "not from this address",
        "common",
        {"dot": "550 5.7.1 You are not allowed to send from this address"},
        CONTENT,
    ),
    sender(
        "DMARC at Microsoft",
        "Microsoft Learn",
        {"dot": "550 5.7.509 Access denied, sending domain example.org does not pass DMARC verification"},
        CONTENT,
        "DMARC",
    ),
)
_RECIPIENTS = (
    recipient(
        "Postfix, recipient",
        "goneo Help",
        {"RCPT": "550 5.1.1 <to@example.net>: Recipient address rejected: User unknown in local recipient table"},
    ),
    recipient("a recipient called relay", "Postfix", {"RCPT": "550 5.1.1 <relay@example.net>: User unknown"}),
    recipient("a recipient at tls", "Postfix", {"RCPT": "550 <info@tls.example.net>: unknown"}),
    recipient("qmail, recipient", "Strato FAQ 2420", {"RCPT": "550 sorry, no mailbox here by that name (#5.1.1)"}),
    recipient("OpenSMTPD, recipient", "OpenSMTPD#541", {"RCPT": "550 Invalid recipient"}),
    recipient("Exim, recipient", "Exim", {"RCPT": "550 Unrouteable address"}),
    recipient(
        "Google, recipient disabled",
        "Google Workspace Admin Help 3726730",
        {"RCPT": "550 5.2.1 The email account that you tried to reach is disabled."},
    ),
    recipient("mailbox full, for now", "RFC 3463 3.3", {"RCPT": "452 4.2.2 Mailbox full"}, RCPT, "full"),
    recipient("mailbox full, in words", "IONOS Help", {"RCPT": "552 Quota exceeded"}, RCPT, "full"),
    recipient("recipient refused at the end", "RFC 5321 3.3", {"dot": "550 5.1.1 User unknown"}, CONTENT),
    recipient("null MX", "RFC 7505", {"RCPT": "556 5.1.10 Does not accept mail"}),
)
_SIZES = (
    Situation(
        "size, with its limit",
        "Postfix, Exim, sendmail and OpenSMTPD of Debian 12",
        {
            "EHLO": "250-mail.example.com\n250-SIZE 1000\n250 AUTH PLAIN",
            "MAIL": "552 5.3.4 Message size exceeds fixed limit",
        },
        FailureCode.MESSAGE_TOO_LARGE,
        SENDER,
        told=("1000 bytes",),
        never=("login", *WAITING),
    ),
    Situation(
        "size at the end",
        "RFC 1870 6",
        {"dot": "552 5.3.4 Error: message file too big"},
        FailureCode.MESSAGE_TOO_LARGE,
        CONTENT,
        told=("large", "limit"),
        never=("login", *WAITING),
    ),
    Situation(
        "size by code alone",
        "RFC 1870 6",
        {"MAIL": "552 Too much"},
        FailureCode.MESSAGE_TOO_LARGE,
        SENDER,
        told=("large",),
        never=("login",),
    ),
)
_LIMITS = (
    Situation(
        "Google, rate",
        "Google Workspace Admin Help 3726730",
        {
            "dot": "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP\n"
            "421 4.7.28 address. - gsmtp"
        },
        FailureCode.SENDING_LIMIT_REACHED,
        CONTENT,
        told=("hours",),
    ),
    Situation(
        "hourly limit",
        "cPanel",
        {"dot": "554 5.7.1 Message cannot be sent: account has exceeded its hourly limit"},
        FailureCode.SENDING_LIMIT_REACHED,
        CONTENT,
        told=("limit",),
        never=("large",),
    ),
    Situation(
        "blocked content",
        "Google Workspace Admin Help 3726730",
        {"dot": "552 5.7.0 This message was blocked because its content presents a potential security issue."},
        FailureCode.MESSAGE_REFUSED,
        CONTENT,
        never=("large",),
    ),
)
_WAITING = (
    for_now(
        "postgrey",
        "postgrey#84",
        {
            "RCPT": "450 4.2.0 <to@example.net>: Recipient address rejected: Greylisted, see http://postgrey.example.net"
        },
        RCPT,
        "greylist",
        "then accepts the mail",
    ),
    for_now("rspamd", "Mailu#1742", {"dot": "451 4.7.1 Try again later"}, CONTENT),
    for_now(
        "Postfix, verification",
        "Postfix's reject_unverified_recipient",
        {
            "RCPT": "450 4.1.1 <to@example.net>: Recipient address rejected: unverified address: Address verification in progress"
        },
        RCPT,
    ),
    for_now("too much mail", "Postfix's anvil", {"MAIL": "450 4.7.1 Error: too much mail from 192.0.2.1"}, SENDER),
    for_now(
        "load",
        "sendmail's RefuseLA",
        {"MAIL": "451 4.3.2 Please try again later, system load is too high"},
        SENDER,
    ),
    for_now(
        "no reason given",
        "RFC 5321 4.2.1",
        {"RCPT": "450 4.0.0 No"},
        RCPT,
        "try again",
        "the server's administrator",
    ),
)
_CONTENTS = (
    Situation(
        "spam",
        "Strato FAQ 2420",
        {"dot": "554 5.7.1 This message looks like spam"},
        FailureCode.MESSAGE_REFUSED,
        CONTENT,
        told=("spam",),
        never=("fit the login",),
    ),
    Situation(
        "no reason", "RFC 5321 4.2.3", {"dot": "554 Transaction failed"}, FailureCode.MESSAGE_REFUSED, CONTENT
    ),
)
SITUATIONS = (*_SENDERS, *_MORE_SENDERS, *_RECIPIENTS, *_SIZES, *_LIMITS, *_WAITING, *_CONTENTS)
