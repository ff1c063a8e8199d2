"""A failed connection test as the one sentence or two that this API's error body has room for."""

from mailsettings.dialects.checkmarx.translate import FIELDS
from mailsettings.domain.probe import ProbeFailure, ProbeStage

_DOING = {
    ProbeStage.RESOLVE: "Finding the host",
    ProbeStage.CONNECT: "Connecting",
    ProbeStage.SECURE: "Securing the connection",
    ProbeStage.GREET: "Greeting",
    ProbeStage.AUTHENTICATE: "Logging in",
    ProbeStage.SENDER: "Naming the sender",
    ProbeStage.RECIPIENT: "Naming the receiver",
    ProbeStage.CONTENT: "Sending the mail",
}


def failure_message(failure: ProbeFailure) -> str:
    """Which stage failed, why, what the server replied, what to change."""
    parts = [f"{_DOING[failure.stage]} failed: {failure.explanation}"]
    if failure.reply:
        parts.append(f"The server replied: {failure.reply}.")
    if failure.advice:
        parts.append(failure.advice)
    if failure.setting:
        parts.append(f"(Setting: {FIELDS[failure.setting]})")
    return " ".join(parts)
