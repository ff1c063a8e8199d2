"""The result of a request is read as it was stored, including the types of its values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsettings.domain.connection_test import ProbeFailure, ProbeReport, SettingStep, SuggestedChange
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting
from mailsettings.store.idempotency import from_json, to_json

NO_SECURITY = st.none() | st.integers() | st.text() | st.sampled_from([kind.value for kind in ConnectionSecurity])
SECURITY = st.none() | st.sampled_from(ConnectionSecurity)
CHANGES = st.builds(SuggestedChange, st.just(Setting.SECURITY), SECURITY, SECURITY) | st.builds(
    SuggestedChange,
    st.sampled_from([each for each in Setting if each is not Setting.SECURITY]),
    NO_SECURITY,
    NO_SECURITY,
)
STEPS = st.text() | st.builds(SettingStep, st.sampled_from(Setting), st.text())
FAILURES = st.builds(
    ProbeFailure, changes=st.lists(CHANGES, max_size=3).map(tuple), steps=st.lists(STEPS, max_size=3).map(tuple)
)
REPORTS = st.builds(ProbeReport, failure=st.none() | FAILURES)


@given(REPORTS)
@settings(max_examples=200, deadline=None)
def test_every_report_is_read_as_it_was_stored(report: ProbeReport) -> None:
    found = from_json(to_json(report))

    assert found == report
    assert isinstance(found, ProbeReport)
    assert kinds_of(found) == kinds_of(report)


def kinds_of(report: ProbeReport) -> list[type]:
    """Equality does not tell an enumeration's member from its text, and an API's words hang on it."""
    changes = report.failure.changes if report.failure else ()
    return [type(value) for change in changes for value in (change.current, change.suggested)]


@pytest.mark.parametrize("result", [1, 2**31 - 1, "1.2", "1"], ids=repr)
def test_an_id_or_state_is_read_with_its_type(result: int | str) -> None:
    found = from_json(to_json(result))

    assert (found, type(found)) == (result, type(result))
