"""Presets of services that send mail for applications."""

from datetime import date

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.presets.preset import SENDER, Blank, CommonRefusal, LoginKind, Preset, Source

_READ = date(2026, 11, 28)
_API_KEY = Blank("password", "the API key", "", is_secret=True)

SENDGRID = Preset(
    name="sendgrid",
    title="Twilio SendGrid",
    summary="Send with an API key.",
    host="smtp.sendgrid.net",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "apikey", "password": "{password}"},
    blanks=(SENDER, _API_KEY),
    steps=(
        "Verify the sender under Settings, Sender Authentication: its domain, or the single address.",
        "Create an API key with the permission Mail Send under Settings, API Keys. The key is shown once.",
        "The user name is the word apikey, not the key.",
    ),
    refusals=(
        CommonRefusal(
            "535 Authentication failed", "Use the word apikey as the user name and an API key as the password."
        ),
        CommonRefusal(
            "550 The from address does not match a verified Sender Identity", "Verify the sender (step 1)."
        ),
        CommonRefusal("451 Maximum credits exceeded", "Wait for the next period, or choose a larger plan."),
    ),
    sources=(
        Source(
            "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
            _READ,
        ),
    ),
)

MAILGUN = Preset(
    name="mailgun",
    title="Mailgun",
    summary="Send with the SMTP credentials of a sending domain; the region EU has a host of its own.",
    host="{host}",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{username}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank(
            "host",
            "smtp.mailgun.org, or smtp.eu.mailgun.org in the region EU",
            "smtp.eu.mailgun.org",
            "smtp.mailgun.org",
        ),
        Blank("username", "the SMTP login of the sending domain", "postmaster@mg.example.com"),
        Blank("password", "the password of this SMTP login, not an API key", "", is_secret=True),
    ),
    steps=(
        "Add the sending domain and verify it with the DNS records that Mailgun shows.",
        "Open the settings of the domain, SMTP credentials, and create a login or reset its password.",
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.0 Mailgun is not loving your login or password",
            "Use the SMTP login of the domain, and the host of the region of the domain.",
        ),
        CommonRefusal(
            "421 Sandbox subdomains are for test purposes only",
            "Add the recipient to the authorised recipients, or use a domain of your organisation.",
        ),
        CommonRefusal("550 … is not allowed to send", "Activate the account and the domain in Mailgun."),
    ),
    sources=(
        Source(
            "https://documentation.mailgun.com/docs/mailgun/user-manual/smtp-protocol/smtp-relay",
            _READ,
            "The host of the region EU comes from Google Cloud's guide for Mailgun.",
        ),
        Source("https://www.mailgun.com/blog/which-smtp-port-understanding-ports-25-465-587/", _READ),
        Source("https://cloud.google.com/compute/docs/tutorials/sending-mail/using-mailgun", _READ),
    ),
)

POSTMARK = Preset(
    name="postmark",
    title="Postmark",
    summary="Send transactional mail with an SMTP token of a message stream.",
    host="smtp.postmarkapp.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{access_key}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("access_key", "the access key of the SMTP token", "PM-T-example"),
        Blank("password", "the secret key of the SMTP token", "", is_secret=True),
    ),
    steps=(
        "Confirm the sender under Sender Signatures, or verify its domain.",
        "Enable SMTP in the settings of the Postmark server.",
        (
            "Open the message stream, Settings, and generate an SMTP token: its access key is the user name, "
            "its secret key, which is shown once, the password. The Server API token works too, for both; but "
            "mail-settings shows user names."
        ),
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.8 … invalid token", "Use both keys of one SMTP token (step 3), not the token of the account."
        ),
        CommonRefusal("… is not a Sender Signature on your account", "Confirm the sender (step 1)."),
        CommonRefusal(
            "… account is pending approval", "Ask Postmark for the approval; until then send to your own domain."
        ),
    ),
    sources=(
        Source(
            "https://postmarkapp.com/support/article/811-what-are-the-smtp-details-credentials-i-should-be-using",
            _READ,
        ),
        Source("https://postmarkapp.com/developer/user-guide/send-email-with-smtp", _READ),
    ),
)

BREVO = Preset(
    name="brevo",
    title="Brevo",
    summary="Send with an SMTP key.",
    host="smtp-relay.brevo.com",
    port=465,
    security=ConnectionSecurity.IMPLICIT_TLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{login}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("login", "the SMTP login that Brevo shows under SMTP & API", "a1b2c3001@smtp-brevo.com"),
        Blank("password", "an SMTP key, not an API key", "", is_secret=True),
    ),
    steps=(
        "Verify the sender or its domain under Senders, Domains & Dedicated IPs.",
        "Create an SMTP key: SMTP & API, SMTP, Generate a new SMTP key. Note the login shown there.",
        "If the account restricts addresses, add this machine's public address under Security, Authorised IPs.",
    ),
    refusals=(
        CommonRefusal("535 5.7.0 Invalid login or password", "Use an SMTP key, not an API key (step 2)."),
        CommonRefusal("525 5.7.1 Unauthorized IP address", "Add this machine's public address (step 3)."),
        CommonRefusal(
            "502 5.7.0 Your SMTP account is not yet activated",
            "Ask Brevo's support to activate transactional mail.",
        ),
    ),
    sources=(
        Source(
            "https://developers.brevo.com/docs/smtp-integration",
            _READ,
            "Ports and key. The page does not name the host, which comes from nodemailer's list of services.",
        ),
    ),
)

MAILJET = Preset(
    name="mailjet",
    title="Mailjet",
    summary="Send with an API key and its secret key.",
    host="in-v3.mailjet.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{api_key}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("api_key", "the API key", "0123456789abcdef0123456789abcdef"),
        Blank("password", "the secret key of this API key", "", is_secret=True),
    ),
    steps=(
        "Verify the sender or its domain under Sender domains & addresses.",
        "Open API Key Management and note the API key and its secret key, which is shown once.",
    ),
    refusals=(
        CommonRefusal(
            "535 5.7.8 … authentication failed", "Use the API key as user name and its secret key as password."
        ),
        CommonRefusal("550 5.7.1 … sender is not validated", "Verify the sender (step 1)."),
    ),
    sources=(
        Source(
            "https://documentation.mailjet.com/hc/en-us/articles/360043225693-What-is-an-API-key",
            _READ,
            "The login.",
        ),
        Source(
            "https://rubydoc.info/gems/mailjet/Mailjet/Mailer",
            _READ,
            "Host and port, from Mailjet's own library; the refusals come from guides of other parties.",
        ),
    ),
)

SMTP2GO = Preset(
    name="smtp2go",
    title="SMTP2GO",
    summary="Send with an SMTP user.",
    host="mail.smtp2go.com",
    port=587,
    security=ConnectionSecurity.STARTTLS,
    login=LoginKind.PASSWORD,
    fields={"username": "{username}", "password": "{password}"},
    blanks=(
        SENDER,
        Blank("username", "the name of the SMTP user", "reports"),
        Blank("password", "the password of the SMTP user", "", is_secret=True),
    ),
    steps=(
        "Verify the sender under Sending, Verified Senders.",
        "Create an SMTP user under Sending, SMTP Users.",
        "If a network blocks port 587, use 2525, or 465 with implicit TLS.",
    ),
    refusals=(
        CommonRefusal("550 … From header sender domain not verified", "Verify the sender (step 1)."),
        CommonRefusal("550 that IP address is not allowed to send", "Log in as an SMTP user (step 2)."),
    ),
    sources=(Source("https://developers.smtp2go.com/docs/smtp-relay", _READ),),
)

RESEND = Preset(
    name="resend",
    title="Resend",
    summary="Send with an API key.",
    host="smtp.resend.com",
    port=465,
    security=ConnectionSecurity.IMPLICIT_TLS,
    login=LoginKind.PASSWORD,
    fields={"username": "resend", "password": "{password}"},
    blanks=(SENDER, _API_KEY),
    steps=(
        "Add the domain of the sender under Domains and verify it.",
        "Create an API key with sending access under API Keys. The key is shown once.",
        "The user name is the word resend.",
    ),
    refusals=(
        CommonRefusal(
            "535 Authentication failed", "Use the word resend as the user name and an API key as the password."
        ),
        CommonRefusal("550 … domain is not verified", "Verify the domain of the sender (step 1)."),
    ),
    sources=(
        Source(
            "https://resend.com/docs/send-with-smtp",
            _READ,
            "A copy of this page was read; the refusals come from guides of other parties.",
        ),
    ),
)

SERVICES = (SENDGRID, MAILGUN, POSTMARK, BREVO, MAILJET, SMTP2GO, RESEND)
