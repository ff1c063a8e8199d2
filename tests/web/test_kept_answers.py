"""An answer is made once for each object, and kept for the objects that were asked for last."""

import gc

from starlette.responses import Response

from mailsettings.web.kept_answers import KeptAnswers


class Value:
    """Equal to every other value, as two states of a mail server may be."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def counting(max_kept: int) -> tuple[KeptAnswers[Value], list[Value]]:
    made: list[Value] = []

    def make(value: Value) -> Response:
        made.append(value)
        return Response(f"{len(made)}")

    return KeptAnswers(make, max_kept), made


def test_an_answer_is_made_once_for_each_object() -> None:
    kept, made = counting(10)
    first, second = Value(), Value()

    assert [kept.of(each).body for each in (first, second, first, second)] == [b"1", b"2", b"1", b"2"]
    assert len(made) == 2


def test_the_objects_asked_for_last_stay() -> None:
    kept, _ = counting(2)
    first, second, third = Value(), Value(), Value()

    assert [kept.of(each).body for each in (first, second, first, third)] == [b"1", b"2", b"1", b"3"]
    assert [kept.of(each).body for each in (first, third, second)] == [b"1", b"3", b"4"]


def test_a_new_object_never_gets_the_answer_of_an_old_one() -> None:
    """An object that nothing holds gives its id to the next object."""
    kept = KeptAnswers[list[int]](lambda value: Response(str(value[0])), 3)

    for number in range(1000):
        assert kept.of([number]).body == str(number).encode()
        gc.collect(0)
