"""Limits of connection tests: at once, for each caller at once, for each in a minute."""

from contextlib import ExitStack

import pytest

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.errors import TooManyProbes
from mailsettings.use_cases.admission import BUSY_SECONDS, Admission, ProbeLimits

ALICE, BOB, CAROL = (Principal(name, frozenset(Permission)) for name in ("alice", "bob", "carol"))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def begin(admission: Admission, caller: Principal, stack: ExitStack) -> None:
    stack.enter_context(admission.admit(caller))


def test_one_caller_has_its_share_and_others_are_unaffected() -> None:
    admission = Admission(ProbeLimits(at_once=10, at_once_each=2, per_minute_each=100))
    with ExitStack() as running:
        begin(admission, ALICE, running)
        begin(admission, ALICE, running)
        with pytest.raises(TooManyProbes) as refused:
            begin(admission, ALICE, running)
        begin(admission, BOB, running)

    assert str(refused.value) == "Too many connection tests of yours are running. Try again in 5 seconds."
    assert refused.value.retry_after_seconds == BUSY_SECONDS
    with ExitStack() as running:
        begin(admission, ALICE, running)


def test_all_callers_together_have_theirs() -> None:
    admission = Admission(ProbeLimits(at_once=2, at_once_each=2, per_minute_each=100))
    with ExitStack() as running:
        begin(admission, ALICE, running)
        begin(admission, BOB, running)
        with pytest.raises(TooManyProbes) as refused:
            begin(admission, CAROL, running)

    assert str(refused.value) == "Too many connection tests are running. Try again in 5 seconds."


def test_a_test_that_ends_in_an_error_gives_its_place_back() -> None:
    admission = Admission(ProbeLimits(at_once=1, at_once_each=1, per_minute_each=100))
    with pytest.raises(ZeroDivisionError), admission.admit(ALICE):
        raise ZeroDivisionError
    with admission.admit(BOB):
        pass


def test_a_minutes_share_comes_back_as_the_minute_passes() -> None:
    clock = Clock()
    admission = Admission(ProbeLimits(at_once=9, at_once_each=9, per_minute_each=2), clock)
    for moment in (0, 20):
        clock.now = 1000 + moment
        with admission.admit(ALICE):
            pass
    clock.now = 1030
    with pytest.raises(TooManyProbes) as refused, admission.admit(ALICE):
        pass
    sentence = "Too many connection tests of yours within a minute. Try again in 31 seconds."
    assert (str(refused.value), refused.value.retry_after_seconds) == (sentence, 31)
    with admission.admit(BOB):
        pass
    clock.now = 1061
    with admission.admit(ALICE):
        pass


def test_a_refused_test_does_not_count() -> None:
    clock = Clock()
    admission = Admission(ProbeLimits(at_once=9, at_once_each=9, per_minute_each=1), clock)
    with admission.admit(ALICE):
        pass
    for moment in (1010, 1059):
        clock.now = moment
        with pytest.raises(TooManyProbes), admission.admit(ALICE):
            pass
    clock.now = 1061
    with admission.admit(ALICE):
        pass


def test_nothing_is_kept_of_callers_that_are_gone() -> None:
    clock = Clock()
    admission = Admission(ProbeLimits(), clock)
    for number in range(1000):
        with admission.admit(Principal(f"caller {number}", frozenset(Permission))):
            pass
    clock.now += 100
    with admission.admit(ALICE):
        pass

    assert list(admission._begun) == ["alice"]  # noqa: SLF001  # nothing else can tell that memory is bounded
    assert not admission._running  # noqa: SLF001  # as above
