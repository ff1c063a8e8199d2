"""A failure speaks in the catalogue's words where it has none of its own."""

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, SuggestedChange
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.setting import Setting

CODE, STAGE = FailureCode.RECIPIENT_REFUSED, ProbeStage.RECIPIENT
MEANING = FAILURES[CODE]


def test_a_failure_without_own_texts_uses_the_catalogue() -> None:
    assert failure(CODE, STAGE) == ProbeFailure(
        CODE, STAGE, MEANING.title, MEANING.explanation, MEANING.steps, (SuggestedChange(Setting.RECIPIENT),), None
    )


def test_own_texts_replace_those_of_the_catalogue() -> None:
    changes, reply = (SuggestedChange(Setting.HOST, "a", "b"),), SMTPReply(550, None, "no")

    found = failure(CODE, STAGE, explanation="so", steps=("do",), changes=changes, reply=reply)

    assert found == ProbeFailure(CODE, STAGE, MEANING.title, "so", ("do",), changes, reply)


def test_a_meaning_without_a_setting_suggests_no_change() -> None:
    assert failure(FailureCode.DELIVERY_UNKNOWN, ProbeStage.CONTENT).changes == ()
