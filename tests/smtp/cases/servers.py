"""Logins, server faults, and accounts, as unknown servers report them."""

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.setting import Setting

from smtp.cases.situation import AUTH, GREET, RCPT, SENDER, WAITING, Situation


def login(
    name: str, source: str, reply: str, code: FailureCode, field: Setting | None = None, *told: str
) -> Situation:
    """What the server says to AUTH."""
    return Situation(name, source, {"AUTH": reply}, code, AUTH, field, told)


_FAILED, _MECHANISM = FailureCode.AUTHENTICATION_FAILED, FailureCode.MECHANISM_REFUSED
_ACCOUNT, _FAULT = FailureCode.ACCOUNT_DISABLED, FailureCode.SERVER_FAULT
_SWITCHED_OFF = FailureCode.AUTHENTICATION_DISABLED
_LOGINS = (
    login("SMTP switched off", "common", "535 SMTP is disabled", _SWITCHED_OFF, None, "enable SMTP"),
    login("none that fits", "Cyrus SASL", "535 5.7.0 no mechanism available", _MECHANISM),
    login(
        "Postfix, login",
        "Postfix",
        "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        _FAILED,
        Setting.PASSWORD,
    ),
    login("Exim, login", "Exim", "535 Incorrect authentication data", _FAILED, Setting.PASSWORD, "user name"),
    login("sendmail, login", "sendmail", "535 5.7.0 authentication failed", _FAILED, Setting.PASSWORD),
    login("login without words", "RFC 4954 6", "535 5.7.8", _FAILED, Setting.PASSWORD),
    login("a code of its own", "Alibaba Mail", "526 Authentication failure[0]", _FAILED, Setting.PASSWORD),
    login("password expired", "RFC 4954 6", "535 5.7.8 Your password has expired", _FAILED, None, "new password"),
    login("transition", "RFC 4954 6", "432 4.7.12 A password transition is needed", _FAILED),
    login(
        "Postfix, mechanism",
        "dokuwiki-plugin-smtp#65",
        "535 5.7.8 Error: authentication failed: Invalid authentication mechanism",
        _MECHANISM,
    ),
    login("Postfix, no logins", "mailinabox#2284", "503 5.5.1 Error: authentication not enabled", _MECHANISM),
    login(
        "Exim, not advertised", "totaljs#297", "503 AUTH command used when not advertised", _MECHANISM, None, "587"
    ),
    login("unrecognised", "RFC 4954 4", "504 5.5.4 Unrecognized authentication type", _MECHANISM),
    login("not implemented", "sandstorm#2876", "502 5.5.2 Syntax error, command unrecognized.", _MECHANISM),
    login("too weak", "RFC 4954 6", "534 5.7.9 mechanism is too weak", _MECHANISM),
    login("RFC 5248", "RFC 5248 2.4", "525 5.7.13 User Account Disabled", _ACCOUNT, Setting.USERNAME),
    login("account locked", "common", "535 5.7.0 Your account has been locked", _ACCOUNT, Setting.USERNAME),
    login(
        "too many failures",
        "163: NetEase's list of replies",
        "451 Requested mail action not taken: too much fail authentication",
        FailureCode.TEMPORARY_REFUSAL,
        None,
        "half an hour",
    ),
    login("for now", "RFC 4954 6", "454 4.7.0 Later", FailureCode.TEMPORARY_REFUSAL, None, "try again"),
    Situation(
        "Postfix without Dovecot",
        "docker-mailserver#3891, chatmail/relay#441",
        {"AUTH": "454 4.7.0 Temporary authentication failure: Connection lost to authentication server"},
        _FAULT,
        AUTH,
        told=("the server's administrator",),
        never=("password again", "check the user name"),
    ),
)
_FAULTS = (
    Situation(
        "Postfix, lookup",
        "Postfix",
        {"RCPT": "451 4.3.0 <to@example.net>: Temporary lookup failure"},
        _FAULT,
        RCPT,
        never=WAITING,
    ),
    Situation(
        "Postfix, configuration",
        "Postfix",
        {"MAIL": "451 4.3.5 Server configuration error"},
        _FAULT,
        SENDER,
        never=WAITING,
    ),
    Situation(
        "no disk", "RFC 3463 3.4", {"MAIL": "452 4.3.1 Insufficient system storage"}, _FAULT, SENDER, never=WAITING
    ),
    Situation(
        "RFC 3463, configuration",
        "RFC 3463 3.4",
        {"MAIL": "554 5.3.5 Not today"},
        _FAULT,
        SENDER,
        never=WAITING,
    ),
)
_ACCOUNTS = (
    Situation(
        "account suspended at MAIL",
        "common",
        {"MAIL": "550 5.7.1 Your account has been suspended"},
        _ACCOUNT,
        SENDER,
        Setting.USERNAME,
        ("account",),
        ("another sender", *WAITING),
    ),
    Situation(
        "quota of the account",
        "common",
        {"MAIL": "451 4.7.1 Daily sending quota exceeded for this account"},
        FailureCode.SENDING_LIMIT_REACHED,
        SENDER,
        told=("limit",),
    ),
)
_GREETINGS = (
    Situation(
        "for now, without a reason",
        "RFC 5321 4.2.1",
        {"greeting": "450 Service currently unavailable"},
        FailureCode.SERVER_UNAVAILABLE,
        GREET,
        told=("later",),
    ),
    Situation(
        "closing",
        "RFC 5321 3.8",
        {"greeting": "421 mail.example.com Service closing"},
        FailureCode.SERVER_UNAVAILABLE,
        GREET,
        told=("later",),
    ),
    Situation(
        "no service", "RFC 5321 3.1", {"greeting": "554 No SMTP service here"}, FailureCode.SERVER_REFUSED, GREET
    ),
    Situation(
        "too many connections",
        "Postfix's anvil",
        {"greeting": "421 4.7.0 Error: too many connections from 192.0.2.1"},
        FailureCode.TEMPORARY_REFUSAL,
        GREET,
        told=("try again",),
    ),
)
SITUATIONS = (*_LOGINS, *_FAULTS, *_ACCOUNTS, *_GREETINGS)
