"""Record one connection test stage by stage."""

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from mailsettings.domain.connection_test import (
    Outcome,
    ProbeBegun,
    ProbeFailure,
    ProbeListener,
    ProbeReport,
    ProbeStage,
    ProbeWarning,
    ScanBegun,
    StageObservation,
    StageReport,
)
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.observation import ServerGreeting, SMTPReply, TLSSession
from mailsettings.smtp.redaction import displayable_reply, redact_report


class Journal:
    """The journal of one connection. Entering a stage marks the previous stage as passed.

    `hidden`: texts that the report must not contain. `sent`: the addresses sent to the server. `greeted`: the
    protocol of the port is known. `message_sent`: the whole message was sent. `permissions`: the roles in the
    access token, if readable. `token_was_cached`: it was fetched for an earlier login. `ehlo_name`: the name sent
    in EHLO. `awaited`: the awaited answer, in words. `deadline_seconds`: the limit. *listener* gets each event.
    """

    def __init__(self, server: MailServer, listener: ProbeListener | None = None) -> None:
        self.server = server
        self._listener = listener
        self._is_scanning = False
        self.hidden: Sequence[str] = ()
        self.sent: Sequence[str] = ()
        self.greeted = False
        self.message_sent = False
        self.permissions: frozenset[str] | None = None
        self.token_was_cached = False
        self.ehlo_name = ""
        self.awaited = ""
        self.deadline_seconds = 0.0
        self._begun = self._stage_begun = time.perf_counter()
        self._done: list[StageReport] = []
        self._stage: ProbeStage | None = None
        self._observed = StageObservation()
        if listener is not None:
            listener(ProbeBegun(tuple(_stage_order(server.security))))

    @property
    def stage(self) -> ProbeStage:
        """The current stage."""
        assert self._stage is not None  # noqa: S101  # the prober enters a stage before it does anything
        return self._stage

    @property
    def last_stage(self) -> ProbeStage:
        """The current stage; if no stage is running, the next stage, which is then entered."""
        if self._stage is None:
            ended = {report.stage for report in self._done}
            left = [stage for stage in _stage_order(self.server.security) if stage not in ended]
            self.enter(next(iter(left), ProbeStage.CONTENT))
        return self.stage

    @property
    def tls(self) -> TLSSession | None:
        """The TLS session of the connection, if TLS was started."""
        return next((stage.observed.tls for stage in self._done if stage.observed.tls), None)

    @property
    def offered(self) -> ServerGreeting:
        """The server's name and extensions from its last EHLO reply or greeting."""
        seen = [*(stage.observed.greeting for stage in self._done), self._observed.greeting]
        return next((greeting for greeting in reversed(seen) if greeting), ServerGreeting(""))

    @property
    def logged_in(self) -> bool:
        """Whether the server accepted a login."""
        return ProbeStage.AUTHENTICATE in self.passed

    @property
    def passed(self) -> Sequence[ProbeStage]:
        """The stages that passed, in the order of the wire."""
        return [stage.stage for stage in self._done if stage.outcome is Outcome.PASSED]

    @property
    def seconds(self) -> float:
        """The seconds since the current stage began."""
        return time.perf_counter() - self._stage_begun

    @property
    def encrypted(self) -> bool:
        """Whether TLS was started in the current stage."""
        return self._observed.tls is not None

    @property
    def stages(self) -> Sequence[StageReport]:
        """The stages that have ended."""
        return self._done

    def enter(self, stage: ProbeStage) -> None:
        """Begin *stage*."""
        self._leave(Outcome.PASSED)
        self._stage, self._stage_begun, self._observed = stage, time.perf_counter(), StageObservation()

    def at(self, stage: ProbeStage, sent: Sequence[str], *, message_sent: bool = False) -> "Journal":
        """Return a copy in *stage*, for an error of one message over a connection that carries many."""
        other = copy(self)
        other._done, other._listener = [*self._done], None  # noqa: SLF001  # of the same class
        other.sent, other.message_sent = sent, message_sent
        other.enter(stage)
        return other

    def return_to(self, stage: ProbeStage) -> None:
        """Make *stage* the current stage again if it had passed: a later error showed that it failed."""
        passed = next((report for report in self._done if report.stage is stage), None)
        if passed is not None:
            self._done.remove(passed)
            self._stage, self._observed = stage, passed.observed

    def observe(self, **seen: Any) -> None:
        """Add observations to the current stage, by the field names of `StageObservation`."""
        self._observed = replace(self._observed, **seen)

    def reply(self, code: int, message: str) -> SMTPReply:
        """Return a reply as the report shows it."""
        return displayable_reply(code, message, self.hidden, sent=self.sent)

    def skip(self, stage: ProbeStage, note: str) -> None:
        """Record *stage* as skipped, with the reason *note*."""
        self._leave(Outcome.PASSED)
        self._end(StageReport(stage, Outcome.SKIPPED, observed=StageObservation(note=note)))

    def begin_scan(self) -> None:
        """Announce the fallback scan to the listener, once."""
        if self._listener is not None and not self._is_scanning:
            self._is_scanning = True
            self._listener(ScanBegun())

    def succeeded(self, warnings: Sequence[ProbeWarning] = ()) -> ProbeReport:
        """Return the report of a test that passed."""
        self._leave(Outcome.PASSED)
        report = ProbeReport(tuple(self._done), None, tuple(warnings), _milliseconds_since(self._begun))
        return redact_report(report, self.hidden)

    def failed(self, failure: ProbeFailure, outcome: Outcome = Outcome.FAILED) -> ProbeReport:
        """Return the report: the current stage failed, and the stages after it are skipped."""
        if failure.reply:
            self.observe(reply=failure.reply)
        self._leave(outcome)
        done = {report.stage: report for report in self._done}
        stages = tuple(done.get(stage, _skipped_stage(stage)) for stage in _stage_order(self.server.security))
        report = ProbeReport(stages, failure, (), _milliseconds_since(self._begun))
        return redact_report(report, self.hidden)

    def _leave(self, outcome: Outcome) -> None:
        if self._stage is not None:
            took = _milliseconds_since(self._stage_begun)
            self._end(StageReport(self._stage, outcome, took, self._observed))
            self._stage = None

    def _end(self, report: StageReport) -> None:
        self._done.append(report)
        if self._listener is not None:
            [shown] = redact_report(ProbeReport((report,)), self.hidden).stages
            self._listener(shown)


def _stage_order(security: ConnectionSecurity) -> Sequence[ProbeStage]:
    """Return the stages in the order of the connection: implicit TLS encrypts before the greeting."""
    first, last = ProbeStage.GREET, ProbeStage.SECURE
    if security is ConnectionSecurity.IMPLICIT_TLS:
        first, last = last, first
    others = [stage for stage in ProbeStage if stage not in {first, last}]
    return [*others[:2], first, last, *others[2:]]


def _skipped_stage(stage: ProbeStage) -> StageReport:
    return StageReport(stage, Outcome.SKIPPED, observed=StageObservation(note="not reached"))


def _milliseconds_since(moment: float) -> int:
    return round((time.perf_counter() - moment) * 1000)
