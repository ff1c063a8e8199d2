"""Why a server could not be reached, or nothing be made of its words."""

from collections.abc import Mapping

from mailsettings.domain.findings.meaning import ANY_STAGE, ENVELOPE, TALKING, Meaning
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.setting import Setting

_ASK = "Ask whoever runs the server"

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.SETTING_INVALID: Meaning(
        "A setting cannot work",
        "one of the settings has no usable value.",
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
        "The login would travel in clear",
        "the login would go over the network for everybody to read.",
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
        "The host is not known",
        "no address is known for the host.",
        ("Check the spelling of the host.", "See whether this machine's name server knows it."),
        (ProbeStage.RESOLVE,),
        Setting.HOST,
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
        "the host is there, and nothing listens on this port.",
        ("Check the port.", "See whether the mail server is running."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.CONNECTION_TIMED_OUT: Meaning(
        "The host does not answer on this port",
        "no connection came about in time.",
        ("Check host and port.", "See whether a firewall, or the network's provider, blocks this port."),
        (ProbeStage.CONNECT,),
        Setting.PORT,
    ),
    FailureCode.HOST_UNREACHABLE: Meaning(
        "There is no way to the host",
        "the network says that the host cannot be reached.",
        ("Check the host.", "See whether this machine has a route to that network."),
        (ProbeStage.CONNECT,),
        Setting.HOST,
    ),
    FailureCode.DEADLINE_EXCEEDED: Meaning(
        "The server did not answer in time",
        "the server did not answer in time.",
        ("Check host, port and connection security: a firewall or the wrong port stays silent.",),
        ANY_STAGE,
    ),
    FailureCode.CONNECTION_LOST: Meaning(
        "The server hung up",
        "the server closed the connection.",
        (
            "Check port and connection security; TLS 1.2 is the oldest that we speak.",
            f"{_ASK} whether it takes mail from this machine.",
        ),
        TALKING,
    ),
    FailureCode.INTERNAL: Meaning(
        "The test failed unexpectedly",
        "this service failed at something that the server sent; its log has the cause.",
        ("Show the log's traceback to whoever maintains this service; the settings may be right.",),
        ANY_STAGE,
    ),
    FailureCode.UNEXPECTED_REPLY: Meaning(
        "The server broke the protocol",
        "the server's reply does not fit the command before it.",
        ("Check host and port, and show the reply to whoever runs the server.",),
        TALKING,
        Setting.PORT,
    ),
    FailureCode.SERVER_UNAVAILABLE: Meaning(
        "The server is closing for now",
        "the server says that it is not available at the moment.",
        ("Try again later.",),
        TALKING,
    ),
    FailureCode.TEMPORARY_REFUSAL: Meaning(
        "The server says: not now",
        "the server refuses for the time being; it may accept the same later.",
        ("Try again in some minutes; the reply says why.",),
        (ProbeStage.AUTHENTICATE, *ENVELOPE),
    ),
    FailureCode.NOT_SMTP: Meaning(
        "This is not a mail server",
        "what answers on this port does not speak SMTP.",
        ("Check host and port.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.PORT,
    ),
    FailureCode.SERVER_REFUSED: Meaning(
        "The server does not want us",
        "the server does not want to talk to us.",
        (f"{_ASK} whether it takes mail from this machine; the reply says why it does not.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.HOST,
    ),
}
