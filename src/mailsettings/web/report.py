"""Present a connection test's report as JSON and as a sentence, with each API's names of the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailsettings.domain import observation
from mailsettings.domain.connection_test import (
    ProbeFailure,
    ProbeReport,
    ProbeStage,
    SettingStep,
    SettingValue,
    StageReport,
)
from mailsettings.domain.observation import AddressAttempt
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.web import report_schema as schema

ShowAddress = Callable[[AddressAttempt], schema.AddressShown]
"""Presents an attempt as the vendors' APIs or our own JSON spell it."""

_STAGE_NAMES: Mapping[ProbeStage, str] = {
    ProbeStage.RESOLVE: "Finding the host",
    ProbeStage.CONNECT: "Connecting",
    ProbeStage.SECURE: "Securing the connection",
    ProbeStage.GREET: "Greeting",
    ProbeStage.AUTHENTICATE: "Logging in",
    ProbeStage.SENDER: "Naming the sender",
    ProbeStage.RECIPIENT: "Naming the receiver",
    ProbeStage.CONTENT: "Sending the mail",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An API's names of the settings that it has, and its spelling of their values.

    `elsewhere` has sentences for settings without a field in this API: where to change them instead.
    """

    fields: Mapping[Setting, str]
    value: Callable[[SettingValue], str | int] = lambda value: value
    hints: Mapping[Setting, str] = field(default_factory=dict)

    def name_of(self, setting: Setting | None) -> str | None:
        """Return the field of *setting* in this API, or the name of the service's own setting."""
        return None if setting is None else self.fields.get(setting) or SERVICE_SETTINGS.get(setting)

    def changes(self, failure: ProbeFailure) -> list[schema.ChangeShown]:
        """Return what to change, as far as this API has fields for it; each field appears once."""
        found: dict[str, schema.ChangeShown] = {}
        for change in failure.changes:
            if name := self.name_of(change.setting):
                current, suggested = self._said(change.current), self._said(change.suggested)
                found.setdefault(name, schema.ChangeShown(field=name, current=current, suggested=suggested))
        return list(found.values())

    def steps(self, failure: ProbeFailure) -> list[str]:
        """Return what to do; steps on settings without a field here are replaced by where to change them."""
        return list(dict.fromkeys(self._step(step) for step in failure.steps))

    def _step(self, step: str | SettingStep) -> str:
        if isinstance(step, str):
            return step
        return step.text if step.setting in self.fields else self.hints.get(step.setting, step.text)

    def _said(self, value: SettingValue | None) -> str | int | None:
        return None if value is None else self.value(value)


def failure_sentence(failure: ProbeFailure, words: Vocabulary) -> str:
    """Return a failure as an error message: the stage, the cause, the server's reply, what to do and to change."""
    parts = [f"{_STAGE_NAMES[failure.stage]} failed: {failure.explanation}"]
    if failure.reply:
        parts.append(f"The server replied: {failure.reply.summary.rstrip('.')}.")
    parts += words.steps(failure)
    parts += [_advice(change) for change in words.changes(failure)]
    return " ".join(parts)


def _advice(change: schema.ChangeShown) -> str:
    if change.suggested is None or "\n" in str(change.suggested):
        return f"(Setting: {change.field})"
    return f"(Set {change.field} to {change.suggested})"


def report_json(report: ProbeReport, words: Vocabulary) -> str:
    """Return *report* as one JSON object, as the APIs of both vendors spell it."""
    return _report_model(report, words).model_dump_json(by_alias=True, exclude_none=True)


def own_report_json(report: ProbeReport, words: Vocabulary) -> str:
    """Return *report* as one JSON object in the project's own spelling: snake_case, and outcomes as an enum."""
    return _report_model(report, words, _own_address).model_dump_json(exclude_none=True)


def own_stage_json(stage: StageReport) -> str:
    """Return the report of one stage as one JSON object, as `own_report_json` spells it."""
    return _stage(stage, datetime.now(UTC), _own_address).model_dump_json(exclude_none=True)


def report_members(report: ProbeReport, words: Vocabulary) -> dict[str, object]:
    """Return *report* as members of a response's body."""
    return _report_model(report, words).model_dump(mode="json", by_alias=True, exclude_none=True)


def _report_model(
    report: ProbeReport, words: Vocabulary, address: ShowAddress | None = None
) -> schema.ConnectionTestReport:
    now = datetime.now(UTC)
    return schema.ConnectionTestReport(
        succeeded=report.succeeded,
        milliseconds=report.milliseconds,
        stages=[_stage(stage, now, address or _address) for stage in report.stages],
        failure=_failure(report.failure, words) if report.failure else None,
        warnings=[
            schema.WarningShown(
                code=warning.code,
                explanation=warning.explanation,
                field=words.name_of(warning.setting),
            )
            for warning in report.warnings
        ],
    )


def _failure(failure: ProbeFailure, words: Vocabulary) -> schema.FailureShown:
    return schema.FailureShown(
        code=failure.code,
        stage=failure.stage,
        title=failure.title,
        explanation=failure.explanation,
        steps=words.steps(failure),
        changes=words.changes(failure),
        reply=_reply(failure.reply),
    )


def _stage(stage: StageReport, now: datetime, address: ShowAddress) -> schema.StageShown:
    seen = stage.observed
    return schema.StageShown(
        stage=stage.stage,
        outcome=stage.outcome,
        milliseconds=stage.milliseconds,
        note=seen.note or None,
        reply=_reply(seen.reply),
        addresses=[address(attempt) for attempt in seen.attempts] or None,
        greeting=_greeting(seen.greeting) if seen.greeting else None,
        tls=_tls(seen.tls, now) if seen.tls else None,
        mechanism=seen.mechanism,
    )


def _reply(reply: observation.SMTPReply | None) -> schema.ReplyShown | None:
    return (
        schema.ReplyShown(code=reply.code, enhanced_code=reply.enhanced_code, text=reply.text) if reply else None
    )


def outcome_text(attempt: AddressAttempt) -> str:
    """Return the outcome as text: the problem itself if the attempt failed."""
    return attempt.problem or attempt.outcome.replace("_", " ")


def _address(attempt: AddressAttempt) -> schema.AddressShown:
    return schema.AddressShown(
        address=attempt.address, outcome=outcome_text(attempt), milliseconds=attempt.milliseconds
    )


def _own_address(attempt: AddressAttempt) -> schema.OwnAddressShown:
    return schema.OwnAddressShown(
        address=attempt.address,
        outcome=attempt.outcome,
        problem=attempt.problem or None,
        milliseconds=attempt.milliseconds,
    )


def _greeting(greeting: observation.ServerGreeting) -> schema.GreetingShown:
    return schema.GreetingShown(
        name=greeting.name,
        extensions=list(greeting.extensions),
        mechanisms=list(greeting.mechanisms),
        size_limit=greeting.size_limit,
    )


def _tls(tls: observation.TLSSession, now: datetime) -> schema.TLSShown:
    chain = [
        schema.CertificateShown(
            subject=certificate.subject,
            names=list(certificate.names),
            issuer=certificate.issuer,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            days_left=certificate.days_left(now),
            sha256=certificate.sha256,
            pem=certificate.pem,
        )
        for certificate in tls.chain
    ]
    return schema.TLSShown(version=tls.version, cipher=tls.cipher, chain=chain)
