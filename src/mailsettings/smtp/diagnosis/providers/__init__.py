"""Replies of well-known providers, as plain steps. Each row says where it is known from, and since when.

A row is tried before the general rules; the server's own words are shown beside it in any case.
"""

from mailsettings.domain.connection_test import ProbeStage
from mailsettings.domain.observation import SMTPReply
from mailsettings.smtp.diagnosis.advice import Advice
from mailsettings.smtp.diagnosis.providers import amazon, google, mailboxes, microsoft, services

TABLE: tuple[Advice, ...] = (*microsoft.ROWS, *google.ROWS, *amazon.ROWS, *services.ROWS, *mailboxes.ROWS)


def find_advice(reply: SMTPReply, stage: ProbeStage) -> Advice | None:
    """The first row that fits, if one does."""
    return next((advice for advice in TABLE if advice.matches(reply, stage)), None)
