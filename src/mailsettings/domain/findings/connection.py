"""Failures to reach the server, or to get a session from it."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import AFTER_CONNECT, ANY_STAGE, Meaning
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting

_ASK = "Ask the server's administrator"
_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.SETTING_INVALID: Meaning(
        "A setting cannot work",
        "one of the settings has an unusable value.",
        ("Give another value.",),
        (ProbeStage.SECURE, ProbeStage.AUTHENTICATE, ProbeStage.SENDER, ProbeStage.RECIPIENT),
    ),
    FailureCode.SECRET_UNREADABLE: Meaning(
        "The stored secret cannot be read",
        "the stored secret cannot be read with this service's key.",
        ("Store the secret again.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.PASSWORD,
    ),
    FailureCode.CLEARTEXT_CREDENTIALS: Meaning(
        "The login would be sent unencrypted",
        "the login would cross the network unencrypted.",
        ("Use STARTTLS or implicit TLS.",),
        (ProbeStage.AUTHENTICATE,),
        Setting.SECURITY,
    ),
    FailureCode.PORT_NOT_ALLOWED: Meaning(
        "Tests may not use this port",
        "connection tests may not use this port.",
        ("Use a port for mail.",),
        (ProbeStage.RESOLVE,),
        Setting.PORT,
    ),
    FailureCode.HOST_NOT_FOUND: Meaning(
        "The host is unknown",
        "the name server does not know this host name.",
        (
            "Check the spelling of the host.",
            "If the name is internal, configure this machine to use the internal name server.",
        ),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
    ),
    FailureCode.HOST_WITHOUT_ADDRESS: Meaning(
        "The host has no address",
        "the name exists, but has no IPv4 or IPv6 address; a mail domain often has none.",
        ("Use the name of the mail server itself, such as mail. or smtp. before the domain.",),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
    ),
    FailureCode.NAME_SERVER_FAILED: Meaning(
        "The name server failed",
        "the name server that this machine uses failed, so the host could not be looked up.",
        (
            "Check the name server of this machine (on Linux, /etc/resolv.conf): does it answer for other names?",
            "If only this name fails, tell the administrator of its domain's name servers.",
        ),
        (ProbeStage.RESOLVE,),
    ),
    FailureCode.NAME_SERVER_TIMED_OUT: Meaning(
        "The name server does not answer",
        "the name server that this machine uses did not answer, so the host could not be looked up.",
        (
            "Check the name server of this machine (on Linux, /etc/resolv.conf) and whether it is reachable.",
            "Check whether a firewall blocks DNS (port 53, UDP and TCP) from this machine.",
        ),
        (ProbeStage.RESOLVE,),
    ),
    FailureCode.ADDRESS_NOT_ALLOWED: Meaning(
        "Tests may not reach this host",
        "the host has an address that connection tests may not reach.",
        ("Use another host.",),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
    ),
    FailureCode.CONNECTION_REFUSED: Meaning(
        "Nothing listens on this port",
        "the host answers, but nothing listens on this port.",
        ("Check the port.", "Check whether the mail server is running."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.CONNECTION_TIMED_OUT: Meaning(
        "The host does not answer on this port",
        "the host did not accept the connection in time.",
        ("Check host and port.", "Check whether a firewall, or the network's provider, blocks this port."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.HOST_UNREACHABLE: Meaning(
        "No route to host",
        "the network has no route to the host.",
        ("Check the host.", "Check whether this machine has a route to that network."),
        (ProbeStage.CONNECT,),
        Setting.HOST,
    ),
    FailureCode.DEADLINE_EXCEEDED: Meaning(
        "The server did not answer in time",
        "the server did not answer in time.",
        ("If the server is known to be slow, raise the deadline of the test.",),
        ANY_STAGE,
        Setting.DEADLINE,
    ),
    FailureCode.CONNECTION_LOST: Meaning(
        "The server closed the connection",
        "the server closed the connection without a reply.",
        (
            "Check port and connection security; this service supports TLS 1.2 and newer.",
            f"{_ASK} whether it accepts mail from this machine.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.INTERNAL: Meaning(
        "The test failed unexpectedly",
        "this service could not process something that the server sent; the service's log has the cause.",
        ("Send the traceback from the log to the maintainers of this service; the settings may be right.",),
        ANY_STAGE,
    ),
    FailureCode.UNEXPECTED_REPLY: Meaning(
        "The server violated the protocol",
        "the server's reply does not fit the command that it answers.",
        ("Check host and port, and show the reply to the server's administrator.",),
        AFTER_CONNECT,
        Setting.PORT,
    ),
    FailureCode.SERVER_UNAVAILABLE: Meaning(
        "The server is temporarily unavailable",
        "the server reports that it is not available at the moment.",
        ("Try again later.",),
        AFTER_CONNECT,
    ),
    FailureCode.SERVER_FAULT: Meaning(
        "The server has an internal fault",
        "the server reports an internal error; the settings are not the cause.",
        ("Show the reply to the server's administrator: the server's log says what is broken.",),
        AFTER_CONNECT,
    ),
    FailureCode.TEMPORARY_REFUSAL: Meaning(
        "The server refused temporarily",
        "the server refuses for now, and may accept the same mail later.",
        (
            "Try again in some minutes.",
            "If the reply stays the same, show it to the server's administrator: a rule may be the cause.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.NOT_SMTP: Meaning(
        "This is not a mail server",
        "the server on this port does not speak SMTP.",
        ("Check host and port.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.PORT,
    ),
    FailureCode.SERVER_REFUSED: Meaning(
        "The server refused the session",
        "the server refuses sessions from this machine.",
        (f"{_ASK} whether it accepts mail from this machine; the reply says why it refuses.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.HOST,
    ),
    FailureCode.CLIENT_REFUSED: Meaning(
        "The server does not accept this machine",
        "the server does not accept mail from this machine's network address.",
        (
            f"{_ASK} to accept mail from this machine's address.",
            "Or send through the mail server that is meant for this machine's network.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.EHLO_NAME_REFUSED: Meaning(
        "The server does not accept the EHLO name",
        "the server does not accept the name that this service sends in EHLO.",
        (
            f"Ask this service's administrator to set {_EHLO} to this machine's full DNS name (app.example.org).",
            "Check that the name resolves to this machine's address: some servers look it up.",
        ),
        AFTER_CONNECT,
        Setting.EHLO_NAME,
    ),
    FailureCode.POLICY_REFUSED: Meaning(
        "A rule of the server forbids this",
        "a rule of the server forbids this, and the reply does not say which rule.",
        ("Show the reply to the server's administrator, and ask which rule it is.",),
        AFTER_CONNECT,
    ),
}
