"""Microsoft 365, Outlook.com, and Exchange on premises."""

from mailsettings.domain.connection_test import FailureCode, SettingStep
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.setting import Setting
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_AND_ENVELOPE_STAGES, LOGIN_STAGE, Advice

_SWITCH_ON = "Switch on Authenticated SMTP for the mailbox: admin center, the user, Mail, Manage email apps."
_OAUTH2 = SettingStep(Setting.CLIENT_ID, "Or log in by OAuth2, which stays when Microsoft ends password logins.")
_SIGN_IN_LOGS = "Look for the refused sign-in, and the policy that refused it, in Microsoft Entra's sign-in logs."
_SMTP_AUTH = 'Microsoft Learn, "Enable or disable authenticated client SMTP submission (SMTP AUTH)", 2026-11-28'
_DEVICES = 'Microsoft Learn, "Fix issues with printers, scanners, and LOB applications", 2026-11-28'
_NDR = 'Microsoft Learn, "Email non-delivery reports and SMTP errors in Exchange Online", 2026-11-28'

ROWS = (
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"5\.7\.139 .*SmtpClientAuthentication is disabled",
        "Microsoft 365 has SMTP AUTH switched off for this mailbox or the whole organisation.",
        (_SWITCH_ON, _OAUTH2),
        LOGIN_STAGE,
        _SMTP_AUTH,
    ),
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"5\.7\.30 |basic authentication is (not supported|disabled)|basic ?auth\w* (is )?disabled",
        "Microsoft has switched off login by password (basic authentication) for client submission.",
        (
            SettingStep(Setting.CLIENT_ID, "Log in by OAuth2."),
            "Or send through a relay connector of Exchange Online, or through another service.",
        ),
        LOGIN_AND_ENVELOPE_STAGES,
        "Microsoft 365 message center MC786329 (2024-04): 550 5.7.30; Outlook.com: 535 5.7.139 since 2024-09",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"5\.7\.139 .*credentials were incorrect",
        "Microsoft 365 does not accept this user name with this password, or does not permit it SMTP login.",
        (
            "Enter the password again, and the whole mail address as the user name.",
            _SWITCH_ON,
            "With multi-factor authentication use an app password.",
            _OAUTH2,
        ),
        LOGIN_STAGE,
        "muquit/mailsend-go#68 (2023-12)",
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"5\.7\.139 .*(user is locked|account (is )?(locked|disabled))",
        "Microsoft 365 has locked this user by the security defaults policy, or after too many attempts.",
        (
            _SIGN_IN_LOGS,
            "Or ask an administrator to exempt this user from the security defaults.",
            _OAUTH2,
        ),
        LOGIN_STAGE,
        'Microsoft Learn, "Security defaults in Microsoft Entra ID", 2026-11-28',
    ),
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"5\.7\.139 ",
        "Microsoft 365 refused the login by a policy: security defaults, conditional access, or SMTP AUTH off.",
        (_SIGN_IN_LOGS, _SWITCH_ON, _OAUTH2),
        LOGIN_STAGE,
        "gophish/gophish#3220 (2024-08)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"5\.7\.3 Authentication unsuccessful",
        "Exchange does not accept this user name with this password, or does not permit it SMTP login.",
        (
            "Enter the password again, and the whole mail address (or DOMAIN\\user on premises) as the user name.",
            f"In Microsoft 365: {_SWITCH_ON[0].lower()}{_SWITCH_ON[1:]}",
        ),
        LOGIN_STAGE,
        "gophish/gophish#1839 (2020-05), magento-2-smtp#108 (2018-09)",
    ),
    Advice(
        FailureCode.MECHANISM_REFUSED,
        r"5\.7\.4 Unrecogni[sz]ed authentication type",
        "Exchange offers no login of this kind on this port, commonly because the connection is not encrypted.",
        ("Use port 587 with STARTTLS.", "Or enable basic authentication after TLS on the receive connector."),
        LOGIN_STAGE,
        'Microsoft Learn, "Receive connectors", 2026-11-28',
    ),
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        r"5\.7\.57 |530 5\.7\.1 Client was not authenticated|Anonymous clients? do(es)? not have permission",
        "Exchange accepts mail on this port from logged-in clients only.",
        ("Log in as the mailbox that sends.", "Or send through a connector, on port 25, from a known address."),
        ENVELOPE,
        _DEVICES,
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"5\.7\.60 |5\.2\.252 |SendAsDenied|permissions? to send as this sender",
        "the mailbox that logs in may not send as this sender.",
        (
            "Use the address of the mailbox that logs in as the sender.",
            "Or give that mailbox the permission Send As on the sender's mailbox in Exchange.",
        ),
        ENVELOPE,
        _DEVICES,
    ),
    Advice(
        FailureCode.RELAY_REFUSED,
        r"5\.7\.54 |5\.7\.64 |TenantAttribution",
        "Exchange does not relay to other domains for this machine.",
        (
            "Log in as a mailbox that may send.",
            "Or add this machine's address to the connector that relays (in Microsoft 365, an inbound connector).",
        ),
        ENVELOPE,
        _NDR,
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"5\.7\.(606|511) |banned sending IP",
        "Microsoft has blocked this machine's public address.",
        (
            "Ask Microsoft to unblock it: the delist portal, sender.office.com.",
            "Or log in at smtp.office365.com, port 587, instead of sending directly.",
        ),
        LOGIN_AND_ENVELOPE_STAGES,
        _NDR,
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"5\.1\.8 .*bad outbound sender|5\.7\.70[58] |5\.7\.501 ",
        "Microsoft 365 has blocked the sender, or the whole organisation, for sending what looked like spam.",
        ("Ask an administrator to unblock it: Microsoft Defender, Restricted entities, or Microsoft's support.",),
        LOGIN_AND_ENVELOPE_STAGES,
        _NDR,
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"5\.2\.253 |5\.7\.233 |5\.1\.90 |5\.2\.2 Submission quota exceeded|message submission rate",
        "the mailbox, or the organisation, has reached the sending limit of Microsoft 365.",
        ("Wait up to a day.", "Or send through a service for bulk mail."),
        LOGIN_AND_ENVELOPE_STAGES,
        'Microsoft Learn, "Exchange Online limits", 2026-11-28',
    ),
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"432 4\.3\.2 .*(concurrent|thread limit)|4\.3\.2 .*STOREDRV",
        "the mailbox has more connections open than Microsoft 365 allows, which is three.",
        ("Try again in some minutes.", "If this persists, check which other programs send as this mailbox."),
        LOGIN_AND_ENVELOPE_STAGES,
        'fastapi-mail#75 (2021-07); Microsoft Learn, "Improvements in SMTP AUTH client submission", 2026-11-28',
    ),
    Advice(
        FailureCode.SENDER_NOT_ALLOWED,
        r"5\.7\.515 ",
        "the sender's domain does not pass Microsoft's checks of SPF, DKIM and DMARC.",
        ("Add the server that sends to the domain's SPF record.", "Sign with DKIM for the same domain."),
        ENVELOPE,
        "sisimai/go-sisimai#150 (2025-06)",
    ),
    Advice(
        FailureCode.EHLO_NAME_REFUSED,
        r"501 5\.5\.4 Invalid domain name",
        stages=ANY_STAGE,
        source="Exchange, and Brevo by productdevbook/unemail#8 (2026-04)",
    ),
)
