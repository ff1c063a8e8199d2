"""Keeps our own secrets out of what a server says about itself: its name, what it offers, its certificates.

A server that was once sent a password can put it there. Replies are redacted where they are read (`replies.py`).
This module looks through the whole report at its end, when every secret that the test used is known.
"""

import ssl
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from mailsettings.domain.connection_test import (
    ProbeFailure,
    ProbeReport,
    StageObservation,
    StageReport,
    SuggestedChange,
)
from mailsettings.domain.observation import Certificate, ServerGreeting, TLSSession
from mailsettings.smtp.replies import MIN_SECRET_LENGTH, redact

_ENCODINGS = ("utf-8", "utf-16-be")  # UTF8String and the older types of one byte; BMPString


def redact_report(report: ProbeReport, hidden: Sequence[str]) -> ProbeReport:
    """Return *report* with none of *hidden* in what the server says about itself."""
    return _ReportRedaction(hidden).report(report) if hidden else report


class _ReportRedaction:
    """Notes each word that it changes, because findings and warnings quote those words."""

    def __init__(self, hidden: Sequence[str]) -> None:
        self._hidden = hidden
        self._changed: dict[str, str] = {}

    def report(self, report: ProbeReport) -> ProbeReport:
        stages = tuple(self._stage(stage) for stage in report.stages)
        warnings = tuple(
            replace(warning, explanation=self._quoting(warning.explanation)) for warning in report.warnings
        )
        failure = self._failure(report.failure) if report.failure else None
        return replace(report, stages=stages, failure=failure, warnings=warnings)

    def _stage(self, stage: StageReport) -> StageReport:
        seen = stage.observed
        greeting = self._greeting(seen.greeting) if seen.greeting else None
        tls = self._tls(seen.tls) if seen.tls else None
        observed: StageObservation = replace(seen, greeting=greeting, tls=tls)
        return replace(stage, observed=observed)

    def _greeting(self, greeting: ServerGreeting) -> ServerGreeting:
        size = greeting.size_limit
        hides_size = size is not None and self._word(str(size)) != str(size)
        return ServerGreeting(
            name=self._word(greeting.name),
            extensions=tuple(map(self._word, greeting.extensions)),
            mechanisms=tuple(map(self._word, greeting.mechanisms)),
            size_limit=None if hides_size else size,
        )

    def _tls(self, tls: TLSSession) -> TLSSession:
        """Redact every chain of certificates, whatever it is called."""
        chains: dict[str, Any] = {
            field.name: tuple(map(self._certificate, chain))
            for field in fields(tls)
            if isinstance(chain := getattr(tls, field.name), tuple)
        }
        return replace(tls, **chains)

    def _certificate(self, certificate: Certificate) -> Certificate:
        safe = replace(
            certificate,
            subject=self._word(certificate.subject),
            names=tuple(map(self._word, certificate.names)),
            issuer=self._word(certificate.issuer),
        )
        if safe == certificate and not self._is_in(certificate.pem):
            return certificate
        self._changed[certificate.pem] = ""
        return replace(safe, pem="")

    def _is_in(self, pem: str) -> bool:
        der = ssl.PEM_cert_to_DER_cert(pem).lower()
        forms = [form.lower() for form in self._hidden if len(form) >= MIN_SECRET_LENGTH]
        return any(form.encode(encoding) in der for form in forms for encoding in _ENCODINGS)

    def _failure(self, failure: ProbeFailure) -> ProbeFailure:
        changes = tuple(map(self._change, failure.changes))
        return replace(failure, explanation=self._quoting(failure.explanation), changes=changes)

    def _change(self, change: SuggestedChange) -> SuggestedChange:
        """Suggest nothing where the suggestion is one of the changed words."""
        return replace(change, suggested=None) if change.suggested in self._changed else change

    def _word(self, word: str) -> str:
        safe = redact(word, self._hidden)
        if safe != word:
            self._changed[word] = safe
        return safe

    def _quoting(self, text: str) -> str:
        for word in sorted(self._changed, key=len, reverse=True):
            text = text.replace(word, self._changed[word])
        return text
