"""One row of the tables that replies are looked up in."""

import re
from dataclasses import dataclass

from mailsettings.domain.connection_test import FailureCode, ProbeStage, Steps
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.observation import SMTPReply

LOGIN_STAGE = (ProbeStage.AUTHENTICATE,)
LOGIN_AND_ENVELOPE_STAGES = (*LOGIN_STAGE, *ENVELOPE)
ANY_STAGE = (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN_AND_ENVELOPE_STAGES)


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reply with these *words* means; they are looked for in code, enhanced code and text together.

    Without explanation and steps of its own a row has those of its code. *source* says who sends such a reply and
    where that is known from, with the date of that page or report, or the day on which it was read.
    """

    code: FailureCode
    words: str
    explanation: str = ""
    steps: Steps = ()
    stages: tuple[ProbeStage, ...] = ANY_STAGE
    source: str = ""

    def matches(self, reply: SMTPReply, stage: ProbeStage) -> bool:
        """Whether it is about *reply*, given in *stage*."""
        return stage in self.stages and re.search(self.words, str(reply), re.IGNORECASE) is not None
