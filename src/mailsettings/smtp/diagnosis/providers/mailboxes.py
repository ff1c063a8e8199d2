"""Providers of mailboxes: Yahoo, Apple iCloud, Fastmail, Zoho, Yandex, QQ and 163, OVH, IONOS and GMX, Strato."""

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_AND_ENVELOPE_STAGES, LOGIN_STAGE, Advice

_OWN_ADDRESS = "Use the address of the account that logs in as the sender, or one of its aliases."

ROWS = (
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"535 5\.7\.0 \(#AUTH|app(lication)?[- ](specific )?password|\(#MBR\d+\)",
        "the provider requires an app password, or locked the account after too many attempts.",
        ("Create an app password in the account's security settings.", "Use it instead of the password."),
        LOGIN_STAGE,
        'Yahoo Help, "Generate and manage third-party app passwords", 2026-11-28',
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"From address is not one of your addresses",
        "iCloud sends only from the account's own addresses and aliases.",
        ("Use one of the account's own addresses as the sender.",),
        ENVELOPE,
        'Apple Support, "If you can\'t send or receive email", 2026-11-28',
    ),
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"535 5\.7\.8 Error: authentication failed: .*(icloud|mail\.me\.com|apple)",
        "iCloud accepts app-specific passwords only.",
        ("Make an app-specific password at account.apple.com.", "Use it with the whole iCloud address."),
        LOGIN_STAGE,
        "QuickMail#32 (2026-06)",
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"551 5\.7\.1 Not authori[sz]ed to send from this header address|unverified header",
        "Fastmail sends only from the account's own and verified addresses.",
        ("Use an address of the account as the sender, or add and verify it under Settings, My email addresses.",),
        ENVELOPE,
        "cyrusimap/cyrus-imapd#3559 (2021-07)",
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"Sender is not allowed to relay|553 Relaying disallowed( as)?",
        "Zoho sends only from the address that logs in, or its aliases.",
        ("Use the account's own address as the sender.", "Or add the sender as an alias of the account in Zoho."),
        ENVELOPE,
        "mybb#2644 (2017-01), mattermost#13224 (2019-11)",
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"Unusual sending activity detected",
        "Zoho has blocked sending for this account, because it looked unusual.",
        ("Log in to Zoho Mail with a browser and unblock the account there.",),
        LOGIN_AND_ENVELOPE_STAGES,
        "cachethq/cachet#3052 (2018-06)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"does not have access rights to this service|access rights.*service",
        "Yandex does not permit mail programs to use this account yet.",
        (
            "Log in to Yandex Mail with a browser, accept its terms, and allow mail programs under Settings.",
            "Use an app password of the kind Mail.",
        ),
        LOGIN_STAGE,
        'Yandex 360 documentation, "Errors of mail programs", 2026-11-28',
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"authentication failed: Your message looks like spam|Please accept (the )?EULA",
        "Yandex has stopped this account until a person confirms it.",
        (
            "Log in to Yandex Mail with a browser and confirm the account.",
            "Then use an app password of the kind Mail.",
        ),
        LOGIN_STAGE,
        "higty/higlabo#17 (2021-11)",
    ),
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"authori[sz]ation code to login|service\.mail\.qq\.com|login fail.*(authori[sz]ation|password|service)",
        "QQ Mail requires an authorisation code instead of the password.",
        (
            "Switch on SMTP in the settings of QQ Mail and make an authorisation code there.",
            "Use the code instead of the password; changing the QQ password invalidates old codes.",
        ),
        LOGIN_STAGE,
        "uptime-kuma#3434 (2023-07), YMFE/yapi#2219 (2021-06), ZsgsDesign/NOJ#93 (2019-05)",
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"mail from (address )?must (be same as|equal) auth\w* user",
        "the provider sends only from the address that logs in.",
        (_OWN_ADDRESS,),
        ENVELOPE,
        "QQ and 163: nodeSolidServer#1281 (2019-08), webtrees#2370 (2019-04)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"550 User has no permission",
        "the provider (163, 126) has SMTP switched off for this mailbox.",
        ("Switch on SMTP in the settings of the mailbox, and use the authorisation code shown there.",),
        LOGIN_STAGE,
        "NetEase's list of replies, 2026-11-28",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"535 Error: authentication failed",
        "the server does not accept this user name with this password; 163 and 126 require an authorisation code.",
        (
            "Check the user name, and enter the password again.",
            "At 163 and 126 switch on SMTP in the mailbox's settings, and use the authorisation code shown there.",
        ),
        LOGIN_STAGE,
        "NodeMail#11 (2019-03), puppeteer-sign#2 (2021-02)",
    ),
    Advice(
        FailureCode.MESSAGE_REFUSED,
        r"55\d DT:SPM|451 DT:SPM|DT:SPM|suspicion of SPAM|considered spam",
        "the provider classified the mail as spam.",
        (
            "Log in with a browser and check whether the account is blocked.",
            "Try a recipient of another domain: providers judge the first mails of a new sender harder.",
        ),
        ENVELOPE,
        "163: NetEase's list of replies, 2026-11-28; Yandex: chatmail/provider-db#205 (2021-09)",
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"Sender address is not allowed|Sender address not allowed",
        "the provider (IONOS, GMX, Hetzner and others) sends only from addresses of the account that logs in.",
        (_OWN_ADDRESS,),
        ENVELOPE,
        "docker-postfixrelay#46 (2024-08)",
    ),
    Advice(
        FailureCode.MESSAGE_REFUSED,
        r"Reject due to policy restrictions",
        "the provider (IONOS, GMX, 1&1) refuses the message by one of its rules, often about its headers.",
        (
            "Open the address in the reply: it names the rule.",
            "Use a sender of the account, with a display name in plain letters.",
        ),
        ENVELOPE,
        "hm_email#13 (2022-10), authelia#2571 (2021-11)",
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"mailbox unavailable Failure sending mail\. Try again later",
        "the provider (GMX, IONOS) accepts no more mail from this account for now.",
        ("Wait an hour and try again.", "If this persists, check the customer area: is the account blocked?"),
        LOGIN_AND_ENVELOPE_STAGES,
        "MailKit#968 (2019-12)",
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"(mailbox|account|address) (is |has been )?(blocked|locked) (for|due to|because of) (spam|abuse)",
        "the provider has blocked sending from this mailbox as a source of spam.",
        (
            "See the mailbox in the provider's control panel, and change its password there.",
            "At OVHcloud a changed password, or an answer to the support ticket, lifts the block.",
        ),
        ANY_STAGE,
        'ovh/docs#6139 (2024-04); OVHcloud Help, "What to do if your account is blocked for spam", 2026-11-28',
    ),
    Advice(
        FailureCode.MESSAGE_REFUSED,
        r"Refused by local policy\. No SPAM please",
        "the provider (Strato) classified the mail as spam; the letters in brackets say why.",
        (
            "Send to a recipient of another domain to find out whether the provider refuses all mail.",
            "Ask Strato's support with the whole reply.",
        ),
        ENVELOPE,
        'Strato FAQ 2420, "Fehlermeldungen bei E-Mails", 2026-11-28',
    ),
)
