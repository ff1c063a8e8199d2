"""Required encryption, and handshakes that the server ends."""

import ssl
from typing import Any

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting

from smtp.cases.situation import (
    AUTH,
    GREET,
    IMPLICIT,
    NO_LOGIN,
    RCPT,
    SECURE,
    SENDER,
    SILENT,
    STARTTLS,
    WAITING,
    Situation,
)
from support.smtp_server import AUTHORITY


def wanted(name: str, source: str, says: dict[str, str], stage: ProbeStage, **more: Any) -> Situation:
    """The server requires encryption."""
    return Situation(
        name,
        source,
        says,
        FailureCode.ENCRYPTION_REQUIRED,
        stage,
        Setting.SECURITY,
        ("STARTTLS",),
        ("not offered", "offers no login", *WAITING),
        suggested=STARTTLS,
        **more,
    )


_WANTED = (
    wanted(
        "STARTTLS by 451",
        "hertzbeat#2365, notification-manager#273",
        {"MAIL": "451 5.7.3 STARTTLS is required to send mail"},
        SENDER,
    ),
    wanted("RFC 3207", "RFC 3207 4", {"MAIL": "530 5.7.0 Must issue a STARTTLS command first"}, SENDER),
    wanted(
        "RFC 3207 without a login",
        "RFC 3207 4",
        {"MAIL": "530 5.7.0 Must issue a STARTTLS command first"},
        SENDER,
        login=NO_LOGIN,
    ),
    wanted(
        "at the login",
        "RFC 4954 6",
        {"AUTH": "538 5.7.11 Encryption required for requested authentication mechanism"},
        AUTH,
    ),
    wanted(
        "Yandex",
        "PHPMailer#283",
        {"AUTH": "530 5.7.7 Email sending without SSL/TLS encryption is not allowed."},
        AUTH,
    ),
    wanted(
        "by 500",
        "RFC 4954 6",
        {"AUTH": "500 5.5.1 Plaintext authentication disallowed on non-secure (SSL/TLS) connections"},
        AUTH,
    ),
    wanted(
        "Dovecot",
        "Dovecot submission",
        {"AUTH": "523 5.7.10 Plaintext authentication disallowed on non-secure (SSL/TLS) connections."},
        AUTH,
    ),
    wanted("by 550", "Exim", {"RCPT": "550 5.7.1 TLS required for this session"}, RCPT),
    wanted(
        "by 554", "RFC 3207 4", {"MAIL": "554 5.7.3 Unable to initialize security subsystem, use STARTTLS"}, SENDER
    ),
    wanted("by code alone", "RFC 5248 2.4", {"MAIL": "523 5.7.10 No"}, SENDER),
)


def _demands_certificate(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)


def _demands_certificate_by_1_2(context: ssl.SSLContext) -> None:
    _demands_certificate(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def _knows_no_name(context: ssl.SSLContext) -> None:
    context.sni_callback = lambda _socket, _name, _context: (
        ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    )


def _is_broken(context: ssl.SSLContext) -> None:
    context.sni_callback = lambda _socket, _name, _context: ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR


def _has_old_ciphers(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")


def _has_an_odd_curve(context: ssl.SSLContext) -> None:
    context.set_ecdh_curve("brainpoolP256r1")


_CLIENT_CERTIFICATE = FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED
_NOTHING_IN_COMMON = FailureCode.TLS_NO_COMMON_ALGORITHM


def handshake(
    name: str,
    source: str,
    tls: Any,
    code: FailureCode,
    security: ConnectionSecurity,
    told: tuple[str, ...],
    field: Setting | None = None,
) -> Situation:
    """The server ends the handshake; the report has OpenSSL's message."""
    never = ("connection lost", "closed the connection", "check port", "connection security", *WAITING)
    return Situation(
        f"{name}, {security}", source, {}, code, SECURE, field, ("OpenSSL", *told), never, security, tls=tls
    )


_HANDSHAKES = tuple(
    handshake(*row[:4], security, *row[4:])
    for security in (STARTTLS, IMPLICIT)
    for row in (
        (
            "client certificate",
            "Swift-SMTP#22, gen_smtp#164",
            _demands_certificate,
            _CLIENT_CERTIFICATE,
            ("client certificate", "certificate required"),
        ),
        (
            "client certificate by TLS 1.2",
            "gen_smtp#164",
            _demands_certificate_by_1_2,
            _CLIENT_CERTIFICATE,
            ("client certificate", "handshake failure"),
        ),
        (
            "host name",
            "ocaml-tls#312, rallly#2288",
            _knows_no_name,
            FailureCode.TLS_NAME_UNRECOGNIZED,
            ("host name", "unrecognized name"),
            Setting.HOST,
        ),
        (
            "broken",
            "RFC 8446 6.2",
            _is_broken,
            FailureCode.TLS_SERVER_ERROR,
            ("internal error", "internal error"),
        ),
        ("old ciphers", "Mailu#2739, docker-mailserver#1369", _has_old_ciphers, _NOTHING_IN_COMMON, ("cipher",)),
        ("odd curve", "RFC 8446 4.2.7", _has_an_odd_curve, _NOTHING_IN_COMMON, ("group",)),
    )
)
_DEADLINE = "MAILSETTINGS_SMTP_TEST_TIMEOUT_SECONDS"
_SILENCES = (
    Situation(
        "the handshake stalls after STARTTLS",
        "mailcow-dockerized#2185, kumomta#542",
        {"handshake": SILENT},
        FailureCode.DEADLINE_EXCEEDED,
        SECURE,
        Setting.DEADLINE,
        ("handshake", "packet size", "inspects", "greeting"),
        ("check port", "connection security"),
        STARTTLS,
        deadline=0.6,
    ),
    Situation(
        "the reply to STARTTLS does not come",
        "RFC 3207 4",
        {"STARTTLS": SILENT},
        FailureCode.DEADLINE_EXCEEDED,
        SECURE,
        Setting.DEADLINE,
        ("reply to STARTTLS", _DEADLINE),
        ("packet size", "connection security"),
        STARTTLS,
        deadline=0.6,
    ),
    Situation(
        "the greeting comes too late",
        "PHPMailer#104, stackrox#21794",
        {"greeting": SILENT},
        FailureCode.DEADLINE_EXCEEDED,
        GREET,
        Setting.DEADLINE,
        ("greeting", "connecting", _DEADLINE),
        ("encryption type", "encryptionType", "connection security"),
        deadline=0.6,
    ),
    *(
        Situation(
            f"{verb} is not answered",
            "RFC 5321 4.5.3.2",
            {verb: SILENT},
            FailureCode.DEADLINE_EXCEEDED,
            stage,
            Setting.DEADLINE,
            (words, _DEADLINE, "0.6 seconds"),
            ("check host", "check port", "connection security"),
            deadline=0.6,
        )
        for verb, stage, words in (
            ("EHLO", GREET, "reply to EHLO"),
            ("AUTH", AUTH, "reply to AUTH PLAIN"),
            ("MAIL", SENDER, "the login"),
            ("RCPT", RCPT, "reply to RCPT TO"),
        )
    ),
)


def offers(
    name: str,
    source: str,
    extensions: str,
    code: FailureCode,
    told: tuple[str, ...],
    never: tuple[str, ...],
    **more: Any,
) -> Situation:
    """What EHLO lists does not fit the settings."""
    says = {"EHLO": "\n".join(["250-mail.example.com", *extensions.split("\n")])}
    return Situation(name, source, says, code, AUTH, told=told, never=never, **more)


_NOT_OFFERED = FailureCode.AUTHENTICATION_NOT_OFFERED
_OFFERS = (
    offers(
        "OAuth2 only",
        "pingvin-share#761",
        "250 AUTH XOAUTH2",
        _NOT_OFFERED,
        ("XOAUTH2", "OAuth2"),
        ("use no login", "needs no login"),
    ),
    offers(
        "NTLM only",
        "MailKit#758",
        "250 AUTH NTLM GSSAPI",
        _NOT_OFFERED,
        ("NTLM, GSSAPI", "PLAIN or LOGIN"),
        ("use no login", "needs no login"),
    ),
    offers("no login", "RFC 4954 3", "250 SIZE", _NOT_OFFERED, ("587", "no login at all"), ()),
    offers(
        "login after STARTTLS",
        "vaultwarden#633, MailKit#1049",
        "250-SIZE\n250 STARTTLS",
        FailureCode.ENCRYPTION_REQUIRED,
        ("STARTTLS",),
        ("not offered", "offers no"),
        field=Setting.SECURITY,
        suggested=STARTTLS,
    ),
    Situation(
        "STARTTLS is not there",
        "RFC 3207 2",
        {"EHLO": "250-mail.example.com\n250-SIZE\n250 DSN"},
        FailureCode.STARTTLS_NOT_OFFERED,
        SECURE,
        told=("SIZE, DSN",),
        security=STARTTLS,
    ),
)
_REFUSED = tuple(
    Situation(
        name, source, {"STARTTLS": reply}, FailureCode.STARTTLS_REFUSED, SECURE, told=told, security=STARTTLS
    )
    for name, source, reply, told in (
        ("TLS not available", "RFC 3207 4", "454 4.7.0 TLS not available due to local problem", ("certificate",)),
        ("STARTTLS not supported", "RFC 5321 4.2.4", "502 5.5.1 STARTTLS not supported", ("465",)),
    )
)
_REWRITTEN = tuple(
    Situation(
        f"a firewall takes STARTTLS away, {greeting[:8]}",
        "PHPMailer#1003, sslyze#84",
        {"greeting": greeting, "EHLO": "250-mail.example.com\n250-SIZE\n250 XXXXXXXA"},
        FailureCode.STARTTLS_NOT_OFFERED,
        SECURE,
        told=("firewall", "XXXXXXXA", "inspection"),
        never=("587",),
        security=STARTTLS,
    )
    for greeting in ("220 ****************************************************", "220 mail.example.com ESMTP")
)
SITUATIONS = (*_WANTED, *_HANDSHAKES, *_SILENCES, *_OFFERS, *_REWRITTEN, *_REFUSED)
