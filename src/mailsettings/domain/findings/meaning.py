"""What the catalogue says of a failure in general, and how a failure is made from it."""

from dataclasses import dataclass

from mailsettings.domain.connection_test import ProbeStage, Steps
from mailsettings.domain.setting import Setting

ANY_STAGE = tuple(ProbeStage)
ENVELOPE = (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT)
AFTER_CONNECT = (ProbeStage.GREET, ProbeStage.SECURE, ProbeStage.AUTHENTICATE, *ENVELOPE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A failure in general; a probe may know better and say more. `setting`: the one to look at first."""

    title: str
    explanation: str
    steps: Steps
    stages: tuple[ProbeStage, ...]
    setting: Setting | None = None
