"""Failures of the login: the server refused it, or the authority issued no token."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SettingStep
from mailsettings.domain.findings.meaning import AFTER_CONNECT, Meaning
from mailsettings.domain.setting import Setting

_ASK = "Ask whoever runs the server"
_SUBMISSION = "Use the port for message submission: 587 with STARTTLS, or 465 with implicit TLS."
_RENEW_CLIENT = "Make a new client secret for the application in the Microsoft Entra admin center."

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.ENCRYPTION_REQUIRED: Meaning(
        "The server requires encryption",
        "the server does not continue without encryption.",
        ("Set the connection security to STARTTLS.",),
        AFTER_CONNECT,
        Setting.SECURITY,
    ),
    FailureCode.AUTHENTICATION_NOT_OFFERED: Meaning(
        "The server offers no suitable login",
        "the server offers no login mechanism that these settings can use.",
        (_SUBMISSION, "If the server needs no login, remove user name and password."),
        (ProbeStage.AUTHENTICATE,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.MECHANISM_REFUSED: Meaning(
        "The server refuses the login mechanism",
        "the server offers this login mechanism and then refuses it.",
        (f"{_ASK} which login is meant for programs.", _SUBMISSION),
        (ProbeStage.AUTHENTICATE,),
        Setting.AUTHENTICATION,
    ),
    FailureCode.AUTHENTICATION_FAILED: Meaning(
        "The login was refused",
        "the server does not accept this user name with this password.",
        (
            "Check the user name; many servers want the whole mail address.",
            "Enter the password again; many providers want one made for programs.",
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
        "An app password is needed",
        "the provider requires an app password for this program instead of the account's password.",
        ("Make an app password in the account's security settings.", "Use it in place of the password."),
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
        "the authority that issues access tokens did not answer, or not as expected.",
        ("See whether this machine reaches it by HTTPS.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.TENANT,
    ),
    FailureCode.OAUTH2_TENANT_UNKNOWN: Meaning(
        "The tenant is not known",
        "the authority knows no such tenant.",
        ("Copy the directory (tenant) id from the application's overview page.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.TENANT,
    ),
    FailureCode.OAUTH2_CLIENT_UNKNOWN: Meaning(
        "The application is not known",
        "the tenant has no application of this client id.",
        ("Copy the application (client) id from its overview page.", "See whether the tenant is the right one."),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_ID,
    ),
    FailureCode.OAUTH2_CLIENT_SECRET_WRONG: Meaning(
        "The client secret is wrong",
        "the authority does not accept the client secret.",
        ("Copy the secret's value, not its id.", f"If the value is not shown any more: {_RENEW_CLIENT}"),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_SECRET,
    ),
    FailureCode.OAUTH2_CLIENT_SECRET_EXPIRED: Meaning(
        "The client secret has expired",
        "the client secret has passed its expiry date.",
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
        "the access token is valid and lacks the permission SMTP.SendAsApp.",
        (
            "Add the application permission SMTP.SendAsApp of Office 365 Exchange Online.",
            "Let an administrator of the tenant consent to it.",
        ),
        (ProbeStage.AUTHENTICATE,),
        Setting.CLIENT_ID,
    ),
    FailureCode.OAUTH2_LOGIN_REFUSED: Meaning(
        "The mail server rejects the access token",
        "the authority issued an access token, and the mail server rejected it.",
        (
            "Register the application's service principal in Exchange Online (New-ServicePrincipal).",
            "Give it full access to the mailbox (Add-MailboxPermission).",
            "See whether the user name is that mailbox, and SMTP AUTH is on for it.",
        ),
        (ProbeStage.AUTHENTICATE,),
        Setting.USERNAME,
    ),
}
