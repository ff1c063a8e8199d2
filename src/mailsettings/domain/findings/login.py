"""Failures of the login: the server refused it, or the authority issued no token."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SettingStep
from mailsettings.domain.findings.meaning import AFTER_CONNECT, Meaning
from mailsettings.domain.setting import Setting

_ASK = "Ask the server's administrator"
_SUBMISSION = "Use the port for message submission: 587 with STARTTLS, or 465 with implicit TLS."
_RENEW_CLIENT = "Create a new client secret for the application in the Microsoft Entra admin center."

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.ENCRYPTION_REQUIRED: Meaning(
        "The server requires encryption",
        "the server accepts no further commands without encryption.",
        ("Set the connection security to STARTTLS.",),
        AFTER_CONNECT,
        Setting.SECURITY,
    ),
    FailureCode.AUTHENTICATION_NOT_OFFERED: Meaning(
        "The server offers no suitable login",
        "the server offers no login method that fits these settings.",
        (_SUBMISSION, "If the server needs no login, remove user name and password."),
        (ProbeStage.AUTHENTICATE,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.MECHANISM_REFUSED: Meaning(
        "The server refused the login method",
        "the server offers this login method, then refuses it.",
        (f"{_ASK} which login is meant for programs.", _SUBMISSION),
        (ProbeStage.AUTHENTICATE,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.AUTHENTICATION_FAILED: Meaning(
        "The login was refused",
        "the server does not accept this user name with this password.",
        (
            "Check the user name; many servers expect the whole mail address.",
            "Enter the password again; many providers require an app password.",
        ),
        (ProbeStage.AUTHENTICATE,),
        Setting.PASSWORD,
    ),
    FailureCode.AUTHENTICATION_DISABLED: Meaning(
        "Login by password is switched off",
        "the provider has switched off login by password for this account.",
        ("Switch it on for the account.", SettingStep(Setting.CLIENT_ID, "Or use OAuth2.")),
        (ProbeStage.AUTHENTICATE,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.APP_PASSWORD_REQUIRED: Meaning(
        "The provider requires an app password",
        "the provider requires an app password instead of the account's password.",
        ("Create an app password in the account's security settings.", "Use it instead of the password."),
        (ProbeStage.AUTHENTICATE,),
        Setting.PASSWORD,
    ),
    FailureCode.ACCOUNT_DISABLED: Meaning(
        "The account is not active",
        "the provider has not activated this account, or has disabled or blocked it.",
        (
            "Log in at the provider's web site and see what it says about the account.",
            "Or ask the provider's support.",
        ),
        AFTER_CONNECT,
        Setting.USERNAME,
    ),
    FailureCode.AUTHENTICATION_REQUIRED: Meaning(
        "The server requires a login",
        "the server accepts no mail without a login.",
        ("Give a user name and a password.",),
        AFTER_CONNECT,
        Setting.USERNAME,
    ),
    FailureCode.OAUTH2_AUTHORITY_UNREACHABLE: Meaning(
        "The token authority does not answer",
        "the authority that issues access tokens did not answer, or answered unexpectedly.",
        ("Check whether this machine can reach it by HTTPS.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.TENANT,
    ),
    FailureCode.OAUTH2_TENANT_UNKNOWN: Meaning(
        "The tenant is unknown",
        "the authority does not know this tenant.",
        ("Copy the directory (tenant) id from the application's overview page.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.TENANT,
    ),
    FailureCode.OAUTH2_CLIENT_UNKNOWN: Meaning(
        "The application is unknown",
        "the tenant has no application with this client id.",
        ("Copy the application (client) id from its overview page.", "Check the tenant."),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_ID,
    ),
    FailureCode.OAUTH2_CLIENT_SECRET_WRONG: Meaning(
        "The client secret is wrong",
        "the authority does not accept the client secret.",
        ("Copy the secret's value, not its id.", f"If the value is no longer shown: {_RENEW_CLIENT}"),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_SECRET,
    ),
    FailureCode.OAUTH2_CLIENT_SECRET_EXPIRED: Meaning(
        "The client secret has expired",
        "the client secret is correct, but has expired.",
        (_RENEW_CLIENT, "Store the new one here, and note when it expires."),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_SECRET,
    ),
    FailureCode.OAUTH2_TOKEN_REFUSED: Meaning(
        "No access token",
        "the authority issued no access token.",
        ("Check tenant, client id and client secret.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_SECRET,
    ),
    FailureCode.OAUTH2_CONSENT_MISSING: Meaning(
        "The application may not send mail",
        "the access token is valid, but lacks the permission SMTP.SendAsApp.",
        (
            "Add the application permission SMTP.SendAsApp of Office 365 Exchange Online.",
            "Ask an administrator of the tenant to consent to it.",
        ),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_ID,
    ),
    FailureCode.OAUTH2_LOGIN_REFUSED: Meaning(
        "The mail server rejected the access token",
        "the mail server rejected the access token that the authority issued.",
        (
            "Register the application's service principal in Exchange Online (New-ServicePrincipal).",
            "Give it full access to the mailbox (Add-MailboxPermission).",
            "Check that the user name is that mailbox, and that SMTP AUTH is enabled for it.",
        ),
        (ProbeStage.AUTHENTICATE,),
        Setting.USERNAME,
    ),
}
