"""Explain a deadline that passed: what the test waited for, what had worked, and how to allow more time."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, Steps, SuggestedChange
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.smtp.journal import Journal

AWAITED_HANDSHAKE = "the TLS handshake"
AWAITED_GREETING = "the server's greeting"
_DEADLINE_SETTING = SERVICE_SETTINGS[Setting.DEADLINE]
_MORE_TIME = f"Ask this service's administrator to allow more time with {_DEADLINE_SETTING}"
_STAGE_NAMES: Mapping[ProbeStage, str] = {
    ProbeStage.CONNECT: "connecting",
    ProbeStage.SECURE: "TLS",
    ProbeStage.GREET: "the greeting",
    ProbeStage.AUTHENTICATE: "the login",
    ProbeStage.SENDER: "the sender",
    ProbeStage.RECIPIENT: "the recipient",
}
# sendmail's greet_pause and Postfix's postscreen delay the greeting on purpose.
_SLOW_GREETING: Steps = (
    f"{_MORE_TIME}: some servers delay their greeting on purpose, or look up this machine's address first.",
    "If the server stays silent, ask its administrator, or check whether a firewall holds the connection.",
)
# A handshake that stalls after STARTTLS worked before with small packets: certificates fill whole packets, which a
# path with a smaller MTU drops silently if ICMP is filtered (RFC 2923 2.1).
_STALLED_HANDSHAKE: Steps = (
    "Ask the network's administrator to check the packet size (MTU) on the way: a handshake needs large packets.",
    "Check whether a firewall or virus scanner on the way inspects encrypted mail.",
    f"{_MORE_TIME}, if the server is only slow.",
)
_NO_HANDSHAKE: Steps = (
    "Check whether the server uses implicit TLS on this port, and whether a firewall holds the connection.",
    f"{_MORE_TIME}, if the server is only slow.",
)
_SLOW_REPLY: Steps = (
    f"{_MORE_TIME}, if the server is known to be slow.",
    "Ask the server's administrator what it waits for: the server's log shows this test.",
)


def explain_deadline(journal: Journal) -> ProbeFailure:
    """Return the failure for a deadline that passed in the current stage."""
    if journal.stage is ProbeStage.RESOLVE:
        return failure(FailureCode.NAME_SERVER_TIMED_OUT, journal.stage)
    explanation = f"{journal.awaited or 'an answer'} did not come within {journal.deadline_seconds:g} seconds"
    worked = ", ".join(_STAGE_NAMES[stage] for stage in journal.passed if stage in _STAGE_NAMES)
    return failure(
        FailureCode.DEADLINE_EXCEEDED,
        journal.stage,
        explanation=f"{explanation}; before that, these steps worked: {worked}." if worked else f"{explanation}.",
        steps=_steps(journal),
        changes=(SuggestedChange(Setting.DEADLINE, current=f"{journal.deadline_seconds:g}"),),
    )


def _steps(journal: Journal) -> Steps:
    if journal.awaited == AWAITED_HANDSHAKE:
        by_starttls = journal.server.security is ConnectionSecurity.STARTTLS
        return _STALLED_HANDSHAKE if by_starttls else _NO_HANDSHAKE
    return _SLOW_GREETING if journal.awaited == AWAITED_GREETING else _SLOW_REPLY
