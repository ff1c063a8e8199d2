"""The events of a connection test, and its report, in the spelling of this API."""

import json

from mailsettings.dialects.v1.mail_servers.translate import VOCABULARY
from mailsettings.domain.connection_test import ProbeBegun, ProbeProgress, ProbeReport, ScanBegun, StageReport
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.web.event_stream import Event
from mailsettings.web.report import own_report_json, own_stage_json


def report_json(report: ProbeReport) -> str:
    """Return *report* as JSON."""
    return own_report_json(report, VOCABULARY)


def event_of(progress: ProbeProgress | ProbeReport, stored: StoredMailServer | None = None) -> Event:
    """Return the event of *progress*; with *stored* it names the mail server."""
    match progress:
        case ProbeBegun(stages=stages):
            name, data = "begun", json.dumps({"stages": stages})
        case StageReport():
            name, data = "stage", own_stage_json(progress)
        case ScanBegun():
            name, data = "looking", "{}"
        case ProbeReport():
            name, data = "done", report_json(progress)
    if stored is None:
        return Event(name, data)
    return Event(name, json.dumps({"mail_server": server_members(stored), **json.loads(data)}))


def server_members(stored: StoredMailServer) -> dict[str, object]:
    """Return how events and reports name a mail server."""
    return {"id": stored.id, "name": stored.name}
