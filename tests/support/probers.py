"""Probers that may reach the servers of the tests, and hold what is true of every report."""

from ipaddress import ip_network
from typing import Any

import pytest

from mailsettings.domain.connection_test import Outcome, ProbeListener, ProbeReport, ProbeStage
from mailsettings.domain.findings import FAILURES
from mailsettings.domain.mail_server import MailServer
from mailsettings.network.policy import EgressPolicy
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.diagnosis.inspection import KnownPorts, ScanTimeouts
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts

from support.timeouts import GUARD_SECONDS
from support.token_authority import make_tokens


class CheckedProber(SMTPProber):
    """Holds what is true of every report, whatever a test is about."""

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        report = await super().probe(server, recipient, listener)
        if report.failure is not None:
            assert report.failure.stage in FAILURES[report.failure.code].stages
            [ended] = [stage for stage in report.stages if stage.outcome in {Outcome.FAILED, Outcome.UNKNOWN}]
            assert report.failure.stage is ended.stage
            assert report.failure.steps
            assert not report.warnings
        assert sorted(stage.stage for stage in report.stages) == sorted(ProbeStage)
        assert "canary" not in repr([stage.observed for stage in report.stages if stage.observed.reply is None])
        return report


def short_timeouts(scale: float = 0.1) -> ScanTimeouts:
    """Return the service's scan timeouts, scaled by *scale*."""
    usual = ScanTimeouts()
    first, silence, grace = (scale * wait for wait in (usual.implicit_tls, usual.silence, usual.grace))
    return ScanTimeouts(first, silence, grace, scale * usual.before_speaking)


LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def make_connector(**changes: Any) -> Connector:
    """Return what connects to mail servers; loopback and clear text are allowed unless *changes* say otherwise."""
    settings: dict[str, Any] = {
        "egress": EgressPolicy(LOOPBACK, None),
        "ehlo_name": None,
        "allow_cleartext_credentials": True,
        "trust": TLSContexts(),
        "oauth2": make_tokens(),
    }
    return Connector(**(settings | changes))


class MakeProber:
    """Makes probers; what is no option of a prober is one of its connector."""

    loopback = LOOPBACK

    def __call__(self, **changes: Any) -> SMTPProber:
        settings: dict[str, Any] = {
            "deadline_seconds": GUARD_SECONDS,
            "ports": KnownPorts(usual={}),  # so that no test meets a mail server of the machine it runs on
            "timeouts": short_timeouts(),
        }
        if "usual_ports" in changes:
            changes["ports"] = KnownPorts(usual=changes.pop("usual_ports"))
        chosen = {name: changes.pop(name) for name in (*settings, "request_id") if name in changes}
        return CheckedProber(make_connector(**changes), **(settings | chosen))


@pytest.fixture
def make_prober() -> MakeProber:
    return MakeProber()
