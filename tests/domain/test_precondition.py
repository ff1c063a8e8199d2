"""What a caller takes to be stored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailsettings.domain.change import NO_PRECONDITION, Precondition, StateTags
from mailsettings.domain.errors import PreconditionFailed, WeakPrecondition
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Revision, Sender, StoredMailServer

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
AT = datetime(2026, 11, 21, 12, 30, tzinfo=timezone(timedelta(hours=2)))
STORED = StoredMailServer(7, 3, SERVER, Revision(AT, "alice"))
THIS, OTHER, ANY = StateTags(frozenset({STORED.tag})), StateTags(frozenset({"7.2", "7.3", "8.3"})), StateTags()


@pytest.mark.parametrize("stored", [STORED, None], ids=["there is one", "there is none"])
def test_without_a_precondition_any_state_may_be_changed(stored: StoredMailServer | None) -> None:
    NO_PRECONDITION.require(stored)


@pytest.mark.parametrize(
    ("expected", "stored"),
    [
        (Precondition(one_of=THIS), STORED),
        (Precondition(one_of=ANY), STORED),
        (Precondition(none_of=OTHER), STORED),
        (Precondition(none_of=ANY), None),
        (Precondition(none_of=THIS), None),
        (Precondition(one_of=THIS, none_of=OTHER), STORED),
    ],
)
def test_an_expected_state_may_be_changed(expected: Precondition, stored: StoredMailServer | None) -> None:
    expected.require(stored)


@pytest.mark.parametrize(
    ("expected", "stored"),
    [
        (Precondition(one_of=OTHER), STORED),
        (Precondition(one_of=StateTags(frozenset())), STORED),
        (Precondition(one_of=ANY), None),
        (Precondition(one_of=THIS), None),
        (Precondition(none_of=ANY), STORED),
        (Precondition(none_of=THIS), STORED),
        (Precondition(one_of=THIS, none_of=THIS), STORED),
    ],
)
def test_an_unexpected_state_may_not_be_changed(expected: Precondition, stored: StoredMailServer | None) -> None:
    with pytest.raises(PreconditionFailed):
        expected.require(stored)


@pytest.mark.parametrize("one_of", [StateTags(frozenset()), OTHER])
def test_a_weak_tag_is_not_enough(one_of: StateTags) -> None:
    with pytest.raises(WeakPrecondition):
        Precondition(one_of=one_of, weak=THIS).require(STORED)


def test_weak_tags_do_not_weaken_strong_ones() -> None:
    Precondition(one_of=THIS, weak=THIS).require(STORED)


def test_another_state_with_a_weak_tag_counts_as_changed() -> None:
    with pytest.raises(PreconditionFailed, match="it was changed by alice"):
        Precondition(one_of=StateTags(frozenset()), weak=OTHER).require(STORED)


def test_the_error_says_who_changed_it_and_when() -> None:
    with pytest.raises(PreconditionFailed, match="it was changed by alice at 2026-11-21T10:30:00Z"):
        Precondition(one_of=OTHER).require(STORED)


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        (None, "no mail server is stored"),
        (Revision(AT, "bob"), "it was removed by bob at 2026-11-21T10:30:00Z"),
        (Revision(AT), r"it was removed at 2026-11-21T10:30:00Z"),
        (Revision(None, "bob"), r"it was removed by bob\. "),
    ],
)
def test_error_says_who_removed_a_missing_server_and_when(removed: Revision | None, said: str) -> None:
    with pytest.raises(PreconditionFailed, match=said):
        Precondition(one_of=ANY).require(None, removed)


def test_no_two_states_have_the_same_tag() -> None:
    states = {StoredMailServer(number, version, SERVER).tag for number in (1, 11) for version in (1, 11)}
    again = replace(STORED, revision=Revision(AT + timedelta(microseconds=1), "alice"))

    assert states == {"1.1", "1.11", "11.1", "11.11"}
    assert (again.state, again.tag == STORED.tag) == (STORED.state, False)


def test_times_in_errors_are_in_utc() -> None:
    assert str(Revision(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "a")) == " by a at 2026-01-02T03:04:05Z"
