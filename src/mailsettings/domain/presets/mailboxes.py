"""Presets of providers of mailboxes: Microsoft 365, Google, Zoho, Fastmail."""

from datetime import date

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.presets.preset import SENDER, Blank, CommonRefusal, LoginKind, Preset, Source

_READ = date(2026, 11, 28)
_MAILBOX = Blank("mailbox", "the address of the mailbox that logs in", "reports@example.com")
_APP_PASSWORD = Blank("password", "the app password", "abcdefghijklmnop", is_secret=True)

MICROSOFT365 = Preset(
    name="microsoft365",
    title="Microsoft 365 (Exchange Online)",
    summary="Send as a mailbox, with a login by OAuth2 as an application.",
    host="smtp.office365.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.OAUTH2_CLIENT_CREDENTIALS,
    fields={
        "username": "{mailbox}",
        "tenant": "{tenant}",
        "client_id": "{client_id}",
        "client_secret": "{client_secret}",
    },
    blanks=(
        SENDER,
        _MAILBOX,
        Blank("tenant", "the directory (tenant) id", "00000000-0000-0000-0000-000000000000"),
        Blank("client_id", "the application (client) id", "00000000-0000-0000-0000-000000000000"),
        Blank("client_secret", "the value of a client secret of the application", "", is_secret=True),
    ),
    steps=(
        "Register an application in Microsoft Entra and note its application id and directory id.",
        "Create a client secret for it. Note the value, which is shown once, and the day on which it expires.",
        (
            "Under API permissions add the application permission SMTP.SendAsApp of Office 365 Exchange Online, "
            "and grant admin consent."
        ),
        (
            "In Exchange Online PowerShell register the application: New-ServicePrincipal with the application id "
            "and the object id of the enterprise application."
        ),
        "Give it the mailbox: Add-MailboxPermission with the right FullAccess.",
        "Switch on Authenticated SMTP for the mailbox: admin center, the user, Mail, Manage email apps.",
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.139 … SmtpClientAuthentication is disabled",
            "Switch on Authenticated SMTP for the mailbox (step 6).",
        ),
        CommonRefusal(
            "535 5.7.3 Authentication unsuccessful",
            "Check steps 3 to 5, and that step 4 has the object id of the enterprise application.",
        ),
        CommonRefusal(
            "550 5.7.60 … Client does not have permissions to send as this sender",
            "Use the address of the mailbox as the sender, or give it the permission Send As.",
        ),
        CommonRefusal(
            "550 5.7.30 Basic authentication is not supported for Client Submission",
            "Log in by OAuth2, as this preset does, instead of a password.",
        ),
    ),
    sources=(
        Source(
            "https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/"
            "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
            _READ,
        ),
        Source(
            "https://learn.microsoft.com/en-us/exchange/clients-and-mobile-in-exchange-online/"
            "authenticated-client-smtp-submission",
            _READ,
        ),
        Source(
            "https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/"
            "how-to-set-up-a-multifunction-device-or-application-to-send-email-using-microsoft-365-or-office-365",
            _READ,
            "Host and port; a copy of this page was read.",
        ),
    ),
)

GOOGLE = Preset(
    name="google",
    title="Gmail and Google Workspace",
    summary="Send as one Google account, with an app password.",
    host="smtp.gmail.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{mailbox}", "password": "{password}"},
    blanks=(SENDER, _MAILBOX, _APP_PASSWORD),
    steps=(
        "Turn on 2-Step Verification for the account; in Google Workspace an administrator may have to allow it.",
        "Create an app password at myaccount.google.com/apppasswords. Write it without spaces.",
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.8 Username and Password not accepted",
            "Use the whole address and an app password, not the password of the account.",
        ),
        CommonRefusal("534 5.7.9 Application-specific password required", "Create an app password (step 2)."),
        CommonRefusal(
            "550 5.4.5 Daily user sending limit exceeded", "Wait up to a day, or use a service for bulk mail."
        ),
    ),
    sources=(
        Source("https://developers.google.com/workspace/gmail/imap/imap-smtp", _READ),
        Source(
            "https://support.google.com/accounts/answer/185833",
            _READ,
            "The steps come from guides that describe this page; the page itself was not read.",
        ),
    ),
)

GOOGLE_RELAY = Preset(
    name="google-relay",
    title="Google Workspace SMTP relay",
    summary="Send for a whole organisation without a login, from known public addresses.",
    host="smtp-relay.gmail.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.NONE,
    fields={},
    blanks=(SENDER,),
    steps=(
        "In the Admin console open Apps, Google Workspace, Gmail, Routing, and configure the SMTP relay service.",
        "Choose the allowed senders: only addresses in your domains.",
        "Accept mail only from the public addresses of the machines that send, and require TLS.",
        "Set MAILSETTINGS_SMTP_EHLO_NAME to the full name of the machine that runs mail-settings.",
    ),
    refusals=(
        CommonRefusal(
            "550 5.7.1 Invalid credentials for relay",
            "Add the public address of this machine to the relay service (step 3).",
        ),
        CommonRefusal(
            "421 4.7.0 Try again later, closing connection. (EHLO)",
            "Set the name that this service gives in EHLO (step 4).",
        ),
        CommonRefusal(
            "550 5.4.5 Daily SMTP relay limit exceeded for user",
            "Wait up to a day, or spread the mail over senders.",
        ),
    ),
    sources=(Source("https://support.google.com/a/answer/2956491", _READ),),
)

ZOHO = Preset(
    name="zoho",
    title="Zoho Mail",
    summary="Send as one mailbox of an organisation, with its password or an app password.",
    host="smtppro.zoho.{zone}",
    port=465,
    security=ConnectionSecurity.IMPLICIT_TLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{mailbox}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("zone", "the end of the address that you log in at: com, eu, in, com.au or jp", "eu", "com"),
        _MAILBOX,
        Blank("password", "the password, or an app password with two-factor login", "", is_secret=True),
    ),
    steps=(
        "With two-factor login create an application-specific password for the mailbox.",
        "Personal and free accounts use the host smtp.zoho.com (with their zone) instead.",
    ),
    refusals=(
        CommonRefusal(
            "535 Authentication Failed", "Check the zone of the host and, with two-factor login, step 1."
        ),
        CommonRefusal(
            "553 Relaying disallowed", "Use the address of the mailbox, or an alias of it, as the sender."
        ),
        CommonRefusal(
            "550 5.4.6 Unusual sending activity detected",
            "Log in to Zoho Mail with a browser and unblock the account.",
        ),
    ),
    sources=(
        Source(
            "https://www.zoho.com/mail/help/zoho-smtp.html",
            _READ,
            "Not confirmed at the provider: only copies of this page were read, and nodemailer's list of services "
            "(smtp.zoho.com, 465).",
        ),
    ),
)

FASTMAIL = Preset(
    name="fastmail",
    title="Fastmail",
    summary="Send as one account, with an app password.",
    host="smtp.fastmail.com",
    port=465,
    security=ConnectionSecurity.IMPLICIT_TLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{mailbox}", "password": "{password}"},
    blanks=(SENDER, _MAILBOX, _APP_PASSWORD),
    steps=(
        "Create an app password for mail under Settings, Privacy & Security.",
        "Use the whole address of the account, with its domain, as the user name.",
    ),
    refusals=(
        CommonRefusal("535 5.7.0 Incorrect username or password", "Use an app password (step 1)."),
        CommonRefusal(
            "551 5.7.1 Not authorised to send from this header address",
            "Use an address of the account as the sender, or add and verify it there.",
        ),
    ),
    sources=(
        Source("https://www.fastmail.com/help/technical/servernamesandports.html", _READ),
        Source("https://fastmail.help/hc/en-us/articles/1500000279921", _READ),
    ),
)

MAILBOXES = (MICROSOFT365, GOOGLE, GOOGLE_RELAY, ZOHO, FASTMAIL)
