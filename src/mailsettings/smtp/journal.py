"""What happened in one connection test so far, stage by stage."""

import time

from mailsettings.domain.probe import Outcome, ProbeFailure, ProbeReport, ProbeStage, SMTPReply, StageReport


class Journal:
    """Stages are entered one after the other; entering the next one means that the last one passed."""

    def __init__(self) -> None:
        self._done: list[StageReport] = []
        self._stage: ProbeStage | None = None
        self._begun = 0.0
        self._reply: SMTPReply | None = None
        self._note = ""

    @property
    def stage(self) -> ProbeStage:
        """The stage that is running."""
        assert self._stage is not None  # noqa: S101  # the prober enters a stage before it does anything
        return self._stage

    def enter(self, stage: ProbeStage) -> None:
        """Begin *stage*."""
        self._leave(Outcome.PASSED)
        self._stage, self._begun, self._reply, self._note = stage, time.perf_counter(), None, ""

    def observe(self, *, reply: SMTPReply | None = None, note: str = "") -> None:
        """Keep what was seen in the running stage."""
        self._reply = reply or self._reply
        self._note = note or self._note

    def skip(self, stage: ProbeStage, note: str) -> None:
        """Say why *stage* is left out."""
        self._leave(Outcome.PASSED)
        self._done.append(StageReport(stage, Outcome.SKIPPED, note=note))

    def succeeded(self) -> ProbeReport:
        """The report, all stages passed."""
        self._leave(Outcome.PASSED)
        return ProbeReport(tuple(self._done))

    def failed(self, failure: ProbeFailure, outcome: Outcome = Outcome.FAILED) -> ProbeReport:
        """The report, ending with the stage that is running."""
        self._reply = failure.reply or self._reply
        self._leave(outcome)
        return ProbeReport(tuple(self._done), failure)

    def _leave(self, outcome: Outcome) -> None:
        if self._stage is not None:
            milliseconds = round((time.perf_counter() - self._begun) * 1000)
            self._done.append(StageReport(self._stage, outcome, milliseconds, self._reply, self._note))
            self._stage = None
