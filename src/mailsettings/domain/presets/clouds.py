"""Presets of cloud platforms: Amazon SES, Azure Communication Services."""

from datetime import date

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.presets.preset import SENDER, Blank, CommonRefusal, LoginKind, Preset, Source

_READ = date(2026, 11, 28)

AMAZON_SES = Preset(
    name="amazon-ses",
    title="Amazon SES",
    summary="Send with SMTP credentials of one AWS region.",
    host="email-smtp.{region}.amazonaws.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{username}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("region", "the AWS region", "eu-central-1", "us-east-1"),
        Blank(
            "username", "the SMTP user name, which is the access key id of its IAM user", "AKIAIOSFODNN7EXAMPLE"
        ),
        Blank(
            "password",
            "the SMTP password, which belongs to one region and is no secret access key",
            "",
            is_secret=True,
        ),
    ),
    steps=(
        "Verify the address or the domain of the sender in the SES console, in the region of the host.",
        "Ask there to move the account out of the sandbox; until then mail goes to verified addresses only.",
        "Create SMTP credentials: SES console, SMTP settings. The password is shown once.",
        (
            "An existing IAM user needs the permission ses:SendRawEmail; its SMTP password is derived from its "
            "secret access key for each region."
        ),
    ),
    refusals=(
        CommonRefusal(
            "535 Authentication Credentials Invalid",
            "Use SMTP credentials of the region of this host, not AWS access keys.",
        ),
        CommonRefusal("554 Message rejected: Email address is not verified", "Verify the sender (step 1)."),
        CommonRefusal("454 Throttling failure", "Wait, or ask for higher sending quotas in the SES console."),
    ),
    sources=(
        Source("https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html", _READ),
        Source("https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html", _READ),
    ),
)

AZURE = Preset(
    name="azure-communication-services",
    title="Azure Communication Services",
    summary="Send with the client secret of an Entra application.",
    host="smtp.azurecomm.net",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{resource}|{client_id}|{tenant}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("resource", "the name of the Communication Services resource", "contoso-mail"),
        Blank("client_id", "the application (client) id", "00000000-0000-0000-0000-000000000000"),
        Blank("tenant", "the directory (tenant) id", "00000000-0000-0000-0000-000000000000"),
        Blank("password", "a client secret of the application", "", is_secret=True),
    ),
    steps=(
        (
            "Create an Email Communication Services resource with a domain, and connect it to a Communication "
            "Services resource."
        ),
        "Register an application in Microsoft Entra and create a client secret. Note the day on which it expires.",
        (
            "Give the application a role on the Communication Services resource, under Access control (IAM): "
            "Communication and Email Service Owner, or a custom role that may write email services."
        ),
        "An SMTP username resource, if you create one, replaces the user name with its three parts.",
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.3 Authentication unsuccessful",
            "Check the three parts of the user name, the client secret, and the role (step 3).",
        ),
    ),
    sources=(
        Source(
            "https://learn.microsoft.com/en-us/azure/communication-services/quickstarts/email/send-email-smtp/"
            "smtp-authentication",
            _READ,
            "The refusal comes from reports of users.",
        ),
    ),
)

CLOUDS = (AMAZON_SES, AZURE)
