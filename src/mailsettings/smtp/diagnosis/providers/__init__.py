"""Replies of well-known providers, with steps. Each row names its source and date.

These rows come before the general phrases; the report shows the server's reply in any case.
"""

from mailsettings.domain.connection_test import ProbeStage
from mailsettings.domain.observation import SMTPReply
from mailsettings.smtp.diagnosis.advice import Advice
from mailsettings.smtp.diagnosis.providers import google, mailboxes, microsoft, services

TABLE: tuple[Advice, ...] = (*microsoft.ROWS, *google.ROWS, *services.ROWS, *mailboxes.ROWS)


def find_advice(reply: SMTPReply, stage: ProbeStage) -> Advice | None:
    """Return the first matching row, if any."""
    return next((advice for advice in TABLE if advice.matches(reply, stage)), None)
