"""A connection test as text for people: a line for each stage, then what failed and what to do."""

from mailsettings.domain.probe import Outcome, ProbeReport, StageReport

_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "-", Outcome.UNKNOWN: "?"}


def render(report: ProbeReport) -> str:
    """The whole report, without a line feed at its end."""
    lines = [_line(stage) for stage in report.stages]
    if report.failure is None:
        return "\n".join([*lines, "The mail server works."])
    failure = report.failure
    lines += ["", f"{failure.stage}: {failure.explanation} [{failure.code}]"]
    if failure.reply:
        lines.append(f"The server replied: {failure.reply}")
    if failure.advice:
        lines.append(failure.advice)
    return "\n".join(lines)


def _line(stage: StageReport) -> str:
    said = " ".join(filter(None, (stage.note, str(stage.reply or ""))))
    return f"{stage.stage:<13}{_MARKS[stage.outcome]:<7}{stage.milliseconds:>6} ms  {said}".rstrip()
