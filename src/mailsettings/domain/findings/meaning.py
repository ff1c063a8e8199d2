"""An entry in the catalogue of failures."""

from dataclasses import dataclass

from mailsettings.domain.connection_test import ProbeStage, Steps
from mailsettings.domain.setting import Setting

ANY_STAGE = tuple(ProbeStage)
ENVELOPE = (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT)
AFTER_CONNECT = (ProbeStage.GREET, ProbeStage.SECURE, ProbeStage.AUTHENTICATE, *ENVELOPE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The general texts for a failure; a test may give more specific texts. `setting`: check it first."""

    title: str
    explanation: str
    steps: Steps
    stages: tuple[ProbeStage, ...]
    setting: Setting | None = None
