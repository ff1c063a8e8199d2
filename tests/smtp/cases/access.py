"""Who may send: relaying, required logins, this machine's address, and its EHLO name."""

from typing import Any

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import AmbientCredentials
from mailsettings.domain.setting import Setting

from smtp.cases.situation import AUTH, CONTENT, GREET, NO_LOGIN, RCPT, SENDER, WAITING, Situation

_EHLO = "MAILSETTINGS_SMTP_EHLO_NAME"
_NOT_THE_RECIPIENT = ("recipient's address", "check the recipient", *WAITING)
_DEFAULTS = ("usedefaultcredentials",)


def relay(name: str, source: str, reply: str, **more: Any) -> Situation:
    """Relaying is refused at RCPT to a client that did not log in."""
    fixed: dict[str, Any] = {"field": Setting.AUTHENTICATION, "told": ("relay", "log in"), "login": NO_LOGIN}
    return Situation(
        name,
        source,
        {"RCPT": reply},
        FailureCode.RELAY_REFUSED,
        RCPT,
        never=WAITING,
        **(fixed | more),
    )


def login_wanted(name: str, source: str, says: dict[str, str], stage: ProbeStage, **more: Any) -> Situation:
    """The server requires a login."""
    fixed: dict[str, Any] = {"field": Setting.AUTHENTICATION, "told": ("user name", "password"), "login": NO_LOGIN}
    never = ("another sender", "recipient", *WAITING, *_DEFAULTS)
    return Situation(name, source, says, FailureCode.AUTHENTICATION_REQUIRED, stage, never=never, **(fixed | more))


def client(name: str, source: str, says: dict[str, str], stage: ProbeStage, *told: str) -> Situation:
    """This machine's address is what the server objects to."""
    told = told or ("this machine",)
    return Situation(name, source, says, FailureCode.CLIENT_REFUSED, stage, told=told, never=_NOT_THE_RECIPIENT)


def ehlo(name: str, source: str, says: dict[str, str], stage: ProbeStage) -> Situation:
    """The EHLO name is what the server objects to, and the setting for it is named."""
    never = ("recipient", "check the host", *WAITING)
    return Situation(
        name,
        source,
        says,
        FailureCode.EHLO_NAME_REFUSED,
        stage,
        Setting.EHLO_NAME,
        (_EHLO, "[127.0.0.1]"),
        never,
    )


_RELAYING = (
    relay("a restriction", "common", "553 Relay restriction"),
    relay(
        "Postfix, relay, for now",
        "gophish#1584, wader/postfix-relay#107",
        "454 4.7.1 <a@example.net>: Relay access denied",
    ),
    relay("Postfix, relay", "docker-mailserver#19", "554 5.7.1 <a@example.net>: Relay access denied"),
    relay("Exim, relay", "postal#647", "550 relay not permitted"),
    relay("sendmail, relay", "nodemailer#1480", "550 5.7.1 <a@example.net>... Relaying denied"),
    relay(
        "qmail, relay",
        "Mail-Toaster-6#107",
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    ),
    relay("Courier, relay", "Courier's courieresmtpd", "513 Relaying denied."),
    relay("Exchange, relay", "MailKit#873", "550 5.7.1 Unable to relay"),
    relay(
        "Exchange 2013, relay",
        "Microsoft Learn",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    ),
    relay("hMailServer, relay", "hmailserver#287", "550 Delivery is not allowed to this address."),
    relay("relay with a word on policy", "RFC 3463 3.8", "550 5.7.1 we do not relay for you"),
    Situation(
        "sendmail, relay after a login",
        "axllent/mailpit#337, fleetbase#439",
        {"RCPT": "550 5.7.1 Relaying denied"},
        FailureCode.RELAY_REFUSED,
        RCPT,
        Setting.USERNAME,
        ("relay", "this login"),
        ("give a user name", *WAITING),
    ),
    Situation(
        "sendmail, relay for a machine without a name",
        "nodemailer#190",
        {"RCPT": "550 5.7.1 <a@example.net>... Relaying denied. IP name lookup failed [192.0.2.1]"},
        FailureCode.CLIENT_REFUSED,
        RCPT,
        told=("reverse", "log in"),
        never=WAITING,
        login=NO_LOGIN,
    ),
)
_LOGINS = (
    login_wanted(
        "Postfix, submission port",
        "Postfix's master.cf: permit_sasl_authenticated, reject",
        {"RCPT": "554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied"},
        RCPT,
    ),
    login_wanted(
        "Postfix, submission port at the recipient",
        "Postfix's master.cf: permit_sasl_authenticated, reject",
        {"RCPT": "554 5.7.1 <to@example.net>: Recipient address rejected: Access denied"},
        RCPT,
    ),
    login_wanted(
        "Exchange, permission to submit",
        "Microsoft Learn: receive connectors",
        {"MAIL": "550 5.7.1 Client does not have permissions to submit to this server"},
        SENDER,
    ),
    login_wanted(
        "LDAP tool behind Postfix",
        "self-service-password#436",
        {"MAIL": "503 Error: need EHLO and AUTH first"},
        SENDER,
    ),
    login_wanted("DavMail", "davmail#59", {"MAIL": "503 5.5.1 Authentication required"}, SENDER),
    login_wanted(
        "MailEnable",
        "IPBan#260",
        {
            "RCPT": "530 This mail server requires authentication when attempting to send to a non-local e-mail "
            "address. Please check your mail client settings."
        },
        RCPT,
    ),
    login_wanted(
        "MailEnable, 550",
        "IPBan#260",
        {"RCPT": "550 This mail server requires authentication when attempting to send to a non-local address."},
        RCPT,
    ),
    login_wanted("hMailServer", "node-sendmail#73", {"RCPT": "530 SMTP authentication is required."}, RCPT),
    login_wanted(
        "hMailServer at MAIL", "node-sendmail#73", {"MAIL": "530 SMTP authentication is required."}, SENDER
    ),
    login_wanted("RFC 4954", "RFC 4954 6", {"MAIL": "530 5.7.0 Authentication required"}, SENDER),
    login_wanted("no words", "RFC 4954 6", {"MAIL": "530 5.7.0"}, SENDER),
    login_wanted("credentials at MAIL", "nodemailer#456", {"MAIL": "535 Authentication Failed"}, SENDER),
    login_wanted(
        "Exim for relays", "luci-app-sms-tool-js#45", {"MAIL": "550 Authentication is required for relay"}, SENDER
    ),
    login_wanted("Exim at RCPT", "mailcow#318", {"RCPT": "550 smtp auth required"}, RCPT),
    login_wanted("IONOS", "IONOS Help", {"RCPT": "550 must be authenticated"}, RCPT),
    login_wanted(
        "Postfix, sender login",
        "hardware/mailserver#329",
        {"RCPT": "553 5.7.1 <scans@example.org>: Sender address rejected: not logged in"},
        RCPT,
    ),
    login_wanted("MXroute", "mox#352", {"MAIL": "550 Unauthenticated mail not allowed from this range"}, SENDER),
    login_wanted("Postal", "postal#3066", {"RCPT": "530 Authentication required"}, RCPT),
    login_wanted("at the end of DATA", "RFC 4954 6", {"dot": "530 5.7.0 Authentication required"}, CONTENT),
    login_wanted(
        "sendmail, proper",
        "sendmail's cf",
        {"RCPT": "550 5.7.1 <a@example.net>... Relaying denied. Proper authentication required."},
        RCPT,
    ),
    Situation(
        "the machine's own credentials",
        ".NET's SmtpClient",
        {"MAIL": "530 5.7.0 Authentication required"},
        FailureCode.AUTHENTICATION_REQUIRED,
        SENDER,
        Setting.DEFAULT_CREDENTIALS,
        ("user name", "password"),
        WAITING,
        login=AmbientCredentials(),
    ),
    Situation(
        "a login that is not seen",
        "RFC 4954 6",
        {"MAIL": "530 5.7.0 Authentication required"},
        FailureCode.AUTHENTICATION_REQUIRED,
        SENDER,
        Setting.USERNAME,
        ("accepted this login",),
        ("give a user name", *WAITING),
    ),
)
_CLIENTS = (
    client(
        "Postfix, reverse name",
        "mailcow-dockerized#2517",
        {"RCPT": "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]"},
        RCPT,
        "reverse",
        "this machine",
    ),
    client(
        "Postfix 3, reverse name",
        "RFC 7372",
        {"RCPT": "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]"},
        RCPT,
        "reverse",
    ),
    client(
        "Postfix, access",
        "mattermost#1012, docker-mailserver#359",
        {"RCPT": "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"},
        RCPT,
    ),
    client(
        "a client called relay",
        "Postfix",
        {"RCPT": "554 5.7.1 <relay.example.org[192.0.2.1]>: Client host rejected: Access denied"},
        RCPT,
    ),
    client(
        "Postfix, blocklist",
        "MailScanner#634",
        {"RCPT": "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"},
        RCPT,
        "blocklist",
    ),
    client(
        "postscreen, blocklist",
        "nodemailer#1089, modoboa-installer#237",
        {"RCPT": "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org"},
        RCPT,
        "blocklist",
    ),
    client(
        "blocklist in the greeting",
        "email-deep-validator#20",
        {"greeting": "554-Service unavailable; Client host [192.0.2.1] blocked using\n554 Barracuda Reputation"},
        GREET,
        "blocklist",
    ),
    client(
        "not allowed to connect",
        "mailinabox#1194",
        {"greeting": "554 5.7.1 You are not allowed to connect."},
        GREET,
    ),
    client(
        "reverse name at 421",
        "RFC 7372",
        {"greeting": "421 4.7.1 Rejected: no PTR record for 192.0.2.1, fix your reverse DNS"},
        GREET,
        "reverse",
    ),
    client(
        "Exim, blocklist",
        "Exim's dnslists",
        {"RCPT": "550 192.0.2.1 is in a black list at bl.example.net"},
        RCPT,
        "blocklist",
    ),
    client(
        "sendmail, access map",
        "sendmail's access.db",
        {"MAIL": "554 5.7.1 Connection from your IP address is not allowed"},
        SENDER,
    ),
)
_MORE_CLIENTS = (
    client(
        "an address between the words",
        "common",
        {"greeting": "421 Connection from 192.0.2.1 rejected due to policy"},
        GREET,
    ),
    client(
        "a blocklist by its short name",
        "common",
        {"greeting": "554 5.7.1 ACL dns_rbl; Client address blocked: 192.0.2.1"},
        GREET,
    ),
    client("access for an address", "common", {"AUTH": "550 5.7.1 Access denied for your IP"}, AUTH),
    client("access from an address", "common", {"AUTH": "535 5.7.1 Access from this IP is not allowed"}, AUTH),
    client(
        "Microsoft, banned address",
        "Microsoft Learn",
        {"RCPT": "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"},
        RCPT,
        "public address",
    ),
    login_wanted(
        "out of order without a login", "RFC 5321 4.1.4", {"MAIL": "503 5.5.1 Bad sequence of commands"}, SENDER
    ),
    login_wanted(
        "Exim's long words",
        "Exim",
        {
            "RCPT": "550-Please turn on SMTP Authentication in your mail client.\n"
            "550-(host) [192.0.2.1] is not permitted to relay through this server\n550 without authentication."
        },
        RCPT,
    ),
    Situation(
        "Exchange, anonymous",
        "Microsoft Learn",
        {"MAIL": "550 5.7.1 Anonymous clients does not have permissions to send as this sender"},
        FailureCode.AUTHENTICATION_REQUIRED,
        SENDER,
        told=("log in",),
        login=NO_LOGIN,
    ),
    Situation(
        "out of order with a login",
        "RFC 5321 4.1.4",
        {"MAIL": "503 5.5.1 Error: send HELO/EHLO first"},
        FailureCode.UNEXPECTED_REPLY,
        SENDER,
        never=("sender",),
    ),
    Situation(
        "not authorised",
        "RFC 3463 3.8",
        {"MAIL": "571 Delivery not authorized, message refused"},
        FailureCode.POLICY_REFUSED,
        SENDER,
    ),
    Situation(
        "an account that may not use SMTP",
        "common",
        {"AUTH": "535 5.0.0 Account is not permitted to use SMTP"},
        FailureCode.SENDING_NOT_PERMITTED,
        AUTH,
    ),
)
_EHLO_NAMES = (
    ehlo("a proper name", "common", {"EHLO": "550 You must send a proper hostname in HELO"}, GREET),
    ehlo(
        "Postfix, EHLO name",
        "passbolt_docker#132, bitwarden/server#164, postee#602",
        {"RCPT": "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"},
        RCPT,
    ),
    ehlo(
        "Postfix, EHLO name unknown",
        "chatmail/core#1847",
        {"RCPT": "450 4.7.1 <localhost.localdomain>: Helo command rejected: Host not found"},
        RCPT,
    ),
    ehlo(
        "a literal, 501",
        "go-smtp-mock#112",
        {"EHLO": "501 5.5.4 invalid HELO", "HELO": "501 5.5.4 invalid HELO"},
        GREET,
    ),
    ehlo("a literal, 550", "go-smtp-mock#112", {"EHLO": "550 Requested action not taken: invalid HELO"}, GREET),
    ehlo(
        "Exim, EHLO name",
        "zone-mta#162, hestiacp#685",
        {"MAIL": "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)"},
        SENDER,
    ),
    ehlo("Exim, syntax", "Exim's helo_verify", {"EHLO": "501 Syntactically invalid EHLO argument(s)"}, GREET),
    ehlo("sendmail, EHLO name", "sendmail's srvrsmtp", {"EHLO": "501 5.0.0 Invalid domain name"}, GREET),
    ehlo(
        "sendmail, no EHLO name", "sendmail's srvrsmtp", {"EHLO": "501 5.0.0 EHLO requires domain address"}, GREET
    ),
    ehlo(
        "Exchange and Brevo, EHLO name",
        "productdevbook/unemail#8",
        {"EHLO": "501 5.5.4 Invalid domain name"},
        GREET,
    ),
    ehlo(
        "hMailServer, EHLO name",
        "hMailServer's SMTPConnection",
        {"EHLO": "501 EHLO Invalid domain address."},
        GREET,
    ),
    ehlo(
        "should be a FQDN",
        "vexim2#139",
        {"EHLO": "550 HELO should be a FQDN or address literal (See RFC 2821 4.1.1.1)"},
        GREET,
    ),
    ehlo(
        "Google's relay",
        "calcom#5254, nextcloud/server#25716",
        {"EHLO": "421 4.7.0 Try again later, closing connection. (EHLO) a1-20020aa7sm785edf.43 - gsmtp"},
        GREET,
    ),
    Situation(
        "421 to EHLO without a reason",
        "dexie#2163",
        {"EHLO": "421 4.7.0 Try again later, closing connection."},
        FailureCode.TEMPORARY_REFUSAL,
        GREET,
        told=(_EHLO,),
    ),
)
_POLICIES = (
    Situation(
        "a rule without a reason at RCPT",
        "RFC 3463 3.8",
        {"RCPT": "550 5.7.1 Not permitted"},
        FailureCode.POLICY_REFUSED,
        RCPT,
        told=("rule",),
        never=_NOT_THE_RECIPIENT,
    ),
    Situation(
        "Amazon SES, permission",
        "analytical-platform#6944",
        {
            "MAIL": "554 Access denied: User `arn:aws:iam::123456789012:user/scans' is not authorized to perform "
            "`ses:SendRawEmail' on resource `arn:aws:ses:eu-west-1:123456789012:identity/example.org'"
        },
        FailureCode.SENDING_NOT_PERMITTED,
        SENDER,
        told=("permission", "ses:SendRawEmail"),
        never=("refused the message", *WAITING),
    ),
    Situation(
        "the account may not send",
        "RFC 3463 3.8",
        {"AUTH": "550 5.7.1 Your account is not allowed to send mail by SMTP"},
        FailureCode.SENDING_NOT_PERMITTED,
        AUTH,
        Setting.USERNAME,
        never=("password again", *WAITING),
    ),
)
SITUATIONS = (*_RELAYING, *_LOGINS, *_CLIENTS, *_MORE_CLIENTS, *_EHLO_NAMES, *_POLICIES)
