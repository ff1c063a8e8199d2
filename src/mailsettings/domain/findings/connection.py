"""Failures to reach the server, or to get a session from it."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings.meaning import AFTER_CONNECT, ANY_STAGE, Meaning
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting

_ASK = "Ask whoever runs the server"
_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.SETTING_INVALID: Meaning(
        "A setting is not usable",
        "the value of a setting cannot be used.",
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
        "the login would cross the network in clear text, which others can read.",
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
        "the name server reports that no host has this name.",
        (
            "Check the spelling of the host.",
            "If the name is internal, let this machine ask the internal name server.",
        ),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
    ),
    FailureCode.HOST_WITHOUT_ADDRESS: Meaning(
        "The host has no address",
        "the name exists and has no IPv4 or IPv6 address; a mail domain often has no address of its own.",
        ("Use the name of the mail server itself, such as mail. or smtp. before the domain.",),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
    ),
    FailureCode.NAME_SERVER_FAILED: Meaning(
        "The name server failed",
        "the name server that this machine uses failed, so the host could not be looked up.",
        (
            "Check the name server of this machine (on Linux, /etc/resolv.conf): does it answer for other names?",
            "If only this name fails, tell whoever runs the name servers of its domain.",
        ),
        (ProbeStage.RESOLVE,),
    ),
    FailureCode.NAME_SERVER_TIMED_OUT: Meaning(
        "The name server does not answer",
        "the name server that this machine uses did not answer, so the host could not be looked up.",
        (
            "Check the name server of this machine (on Linux, /etc/resolv.conf) and whether it is reachable.",
            "See whether a firewall blocks DNS (port 53, UDP and TCP) from this machine.",
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
        "the host answers, and nothing listens on this port.",
        ("Check the port.", "See whether the mail server is running."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.CONNECTION_TIMED_OUT: Meaning(
        "The host does not answer on this port",
        "no connection was established in time.",
        ("Check host and port.", "See whether a firewall, or the network's provider, blocks this port."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.HOST_UNREACHABLE: Meaning(
        "No route to the host",
        "the network reports that the host cannot be reached.",
        ("Check the host.", "See whether this machine has a route to that network."),
        (ProbeStage.CONNECT,),
        Setting.HOST,
    ),
    FailureCode.DEADLINE_EXCEEDED: Meaning(
        "The server did not answer in time",
        "the server did not answer in time.",
        ("Allow the test more time, if the server is known to be slow.",),
        ANY_STAGE,
        Setting.DEADLINE,
    ),
    FailureCode.CONNECTION_LOST: Meaning(
        "The server closed the connection",
        "the server closed the connection without a reply.",
        (
            "Check port and connection security; TLS 1.2 is the oldest version that this service speaks.",
            f"{_ASK} whether it takes mail from this machine.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.INTERNAL: Meaning(
        "The test failed unexpectedly",
        "this service failed while it handled a reply of the server; its log has the cause.",
        ("Show the log's traceback to whoever maintains this service; the settings may be right.",),
        ANY_STAGE,
    ),
    FailureCode.UNEXPECTED_REPLY: Meaning(
        "The server broke the protocol",
        "the server's reply does not fit the command before it.",
        ("Check host and port, and show the reply to whoever runs the server.",),
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
        "The server reports an internal error",
        "the server reports an error of its own; the settings are not the cause.",
        ("Show the reply to whoever runs the server: its log says what is broken.",),
        AFTER_CONNECT,
    ),
    FailureCode.TEMPORARY_REFUSAL: Meaning(
        "The server refuses for now",
        "the server refuses for now and may accept the same later.",
        (
            "Try again in some minutes.",
            "If the same reply comes again, show it to whoever runs the server: a rule may be behind it.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.NOT_SMTP: Meaning(
        "This is not a mail server",
        "what answers on this port does not speak SMTP.",
        ("Check host and port.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.PORT,
    ),
    FailureCode.SERVER_REFUSED: Meaning(
        "The server refused the session",
        "the server refused a session with this machine.",
        (f"{_ASK} whether it takes mail from this machine; the reply says why it does not.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.HOST,
    ),
    FailureCode.CLIENT_REFUSED: Meaning(
        "The server does not accept this machine",
        "the server does not accept mail from this machine's network address.",
        (
            f"{_ASK} to accept mail from this machine's address.",
            "Or send through another mail server, one that this machine's network is meant to use.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.EHLO_NAME_REFUSED: Meaning(
        "The server does not accept the EHLO name",
        "the server does not accept the name that this service gives in EHLO.",
        (
            f"Let whoever runs this service set {_EHLO} to this machine's full DNS name, as in app.example.org.",
            "See whether that name leads to this machine's address: some servers look it up.",
        ),
        AFTER_CONNECT,
        Setting.EHLO_NAME,
    ),
    FailureCode.POLICY_REFUSED: Meaning(
        "A rule of the server forbids this",
        "a rule of the server forbids this, and its reply does not say which.",
        ("Show the reply to whoever runs the server, and ask which rule it is.",),
        AFTER_CONNECT,
    ),
}
