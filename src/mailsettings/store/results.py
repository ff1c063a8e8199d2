"""What came of a request as JSON, and back, for it to be told again."""

from dataclasses import replace

from pydantic import TypeAdapter

from mailsettings.domain.connection_test import ProbeReport, SettingValue, SuggestedChange
from mailsettings.domain.idempotency import IdempotentResult
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting

_RESULTS: TypeAdapter[IdempotentResult] = TypeAdapter(IdempotentResult)


def to_json(result: IdempotentResult) -> str:
    """*result* as text."""
    return _RESULTS.dump_json(result).decode()


def from_json(text: str) -> IdempotentResult:
    """What `to_json` was given."""
    result = _RESULTS.validate_json(text)
    if not isinstance(result, ProbeReport) or result.failure is None:
        return result
    changes = tuple(_restored(change) for change in result.failure.changes)
    return replace(result, failure=replace(result.failure, changes=changes))


def _restored(change: SuggestedChange) -> SuggestedChange:
    """JSON does not tell the connection security "none" from a user of that name; the setting does."""
    if change.setting is not Setting.SECURITY:
        return change
    return replace(change, current=_security(change.current), suggested=_security(change.suggested))


def _security(value: SettingValue | None) -> SettingValue | None:
    return ConnectionSecurity(value) if isinstance(value, str) else value
