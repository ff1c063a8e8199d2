"""Gmail and Google Workspace, with its SMTP relay service."""

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.smtp.diagnosis.advice import ANY_STAGE, LOGIN_AND_ENVELOPE_STAGES, LOGIN_STAGE, Advice

_CODES = 'Google Workspace Admin Help, "Gmail SMTP errors and codes" (answer 3726730), 2026-11-28'
_RELAY = 'Google Workspace Admin Help, "SMTP relay service error messages" (answer 6140680), 2026-11-28'
_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]
_MAKE = "Create an app password at myaccount.google.com/apppasswords."
_USE = "Use its sixteen letters instead of the account's password."
_BROWSER = "Log in to the account with a browser, and confirm that the login from this machine was yours."

ROWS = (
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"application-specific password",
        "Google requires an app password for accounts with 2-step verification.",
        (_MAKE, _USE),
        LOGIN_STAGE,
        _CODES,
    ),
    Advice(
        FailureCode.APP_PASSWORD_REQUIRED,
        r"534 5\.7\.(9|14) .*(log ?in|sign in).*(web )?browser|WebLoginRequired|answer(=|/)78754",
        "Google blocked an unusual login: log in with a browser first, or use an app password.",
        (_BROWSER, f"Or use an app password. {_MAKE}", _USE),
        LOGIN_STAGE,
        "node-red-nodes#284 (2017-03), nodemailer#401 (2015-03), yagmail#111 (2018-05)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_FAILED,
        r"5\.7\.8 .*(BadCredentials|gsmtp)|Username and Password not accepted",
        "Google does not accept this user name with this password.",
        (
            "Use the whole mail address as the user name.",
            "Use an app password: Google accepts no other password from programs.",
            _MAKE,
        ),
        LOGIN_STAGE,
        f"{_CODES}; dawidd6/action-send-mail#120 (2022-07)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_DISABLED,
        r"534 5\.7\.9 .*(less secure|not allowed)|5\.7\.1[28] .*gsmtp|534 5\.7\.\d+ .*gsmtp",
        "Google does not accept this kind of login for the account.",
        (_BROWSER, f"Then use an app password. {_MAKE}", _USE),
        LOGIN_STAGE,
        _CODES,
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"5\.4\.5 .*(limit|quota)|4\.2\.1 .*SMTP relay limit|5\.7\.1 Daily SMTP relay (sending )?limit",
        "Google's sending limit for this account is reached.",
        ("Wait up to a day.", "Or send through a service for bulk mail."),
        LOGIN_AND_ENVELOPE_STAGES,
        f"{_CODES}; {_RELAY}",
    ),
    Advice(
        FailureCode.SENDING_LIMIT_REACHED,
        r"unusual rate of unsolicited|[45]\.7\.28 .*gsmtp",
        "Google received unusually much mail from this machine's public address, and blocks it for a while.",
        ("Wait some hours.", "Send through smtp.gmail.com with a login, which is counted by account."),
        LOGIN_AND_ENVELOPE_STAGES,
        _CODES,
    ),
    Advice(
        FailureCode.TEMPORARY_REFUSAL,
        r"454 4\.7\.0 .*too many login",
        "Google has seen too many logins from this account in a short time.",
        ("Try again in an hour.", "Check which other programs log in to this account."),
        LOGIN_STAGE,
        _CODES,
    ),
    Advice(
        FailureCode.EHLO_NAME_REFUSED,
        r"421 4\.7\.0 Try again later, closing connection\. ?\((EHLO|HELO)\)",
        "Google's relay closes the connection when it does not accept the name given in EHLO.",
        (
            f"Ask this service's administrator to set {_EHLO} to this machine's full name in DNS.",
            "Check that this machine's public address is in the relay's list: Admin console, Gmail, Routing.",
        ),
        ANY_STAGE,
        "calcom#5254 (2022-10), nextcloud/server#25716 (2021-02), dawidd6/action-send-mail#302 (2026-06)",
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"5\.7\.1 .*Invalid credentials for relay|5\.7\.0 .*Mail relay denied|mail relay denied \[",
        "Google's relay knows neither this machine's public address nor the sender's domain.",
        (
            "Add this machine's public address to the SMTP relay service: Admin console, Apps, Gmail, Routing.",
            "Use a sender of a domain of the organisation, or log in.",
        ),
        LOGIN_AND_ENVELOPE_STAGES,
        _RELAY,
    ),
    Advice(
        FailureCode.CLIENT_REFUSED,
        r"NotAuthorizedError|IP you're using to send mail is not authorized|IP not in whitelist"
        r"|4\.7\.0 .*IP address",
        "Google does not accept mail directly from this machine's address.",
        ("Use smtp.gmail.com on port 587 and log in.", "Or send through the relay of this machine's network."),
        ANY_STAGE,
        "iredmail#264 (2024-09)",
    ),
    Advice(
        FailureCode.AUTHENTICATION_REQUIRED,
        r"530 5\.(5\.1|7\.0) Authentication Required.*gsmtp",
        "Google accepts mail on this port from logged-in clients only.",
        ("Give the whole mail address as the user name and an app password.", _MAKE),
        ENVELOPE,
        _CODES,
    ),
    Advice(
        FailureCode.ACCOUNT_DISABLED,
        r"5\.2\.1 .*gsmtp|account.*disabled.*gsmtp",
        "Google has disabled this account.",
        ("Log in to the account with a browser and read what it says.", "Or ask the Workspace administrator."),
        LOGIN_STAGE,
        _CODES,
    ),
)
