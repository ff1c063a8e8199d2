"""The checker of histories: it accepts what a register can do, and finds what it cannot do."""

import pytest

from support.register_history import NEVER, Operation, violations


def w(value: str, began: float, ended: float) -> Operation:
    return Operation(is_write=True, value=value, began=began, ended=ended)


def r(value: str, began: float, ended: float) -> Operation:
    return Operation(is_write=False, value=value, began=began, ended=ended)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [w("a", 1, 2), r("a", 3, 4)],
        [r("0", 0, 1), w("a", 1, 5), r("0", 2, 3), r("a", 4, 6)],
        [w("a", 1, 9), r("a", 2, 3), r("a", 4, 5)],
        [w("a", 1, 4), w("b", 2, 5), r("b", 6, 7)],
        [w("a", 1, 4), w("b", 2, 5), r("a", 6, 7)],
        [w("a", 1, 2), r("0", 1.5, 2.5)],
        [w("a", 1, NEVER), r("0", 2, 3), r("a", 4, 5)],
        [w("a", 1, NEVER), r("0", 2, 3), r("0", 4, 5)],
        [w("a", 1, 8), w("b", 2, 3), r("b", 4, 5), r("a", 6, 7)],
    ],
)
def test_what_a_register_can_do_is_accepted(history: list[Operation]) -> None:
    assert violations("0", history) == []


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([w("a", 1, 2), r("0", 3, 4)], id="an old value after an acknowledged write"),
        pytest.param([w("a", 1, 5), r("a", 2, 3), r("0", 4, 6)], id="an old value after the new one was read"),
        pytest.param([r("a", 1, 2), w("a", 3, 4)], id="a value before it is written"),
        pytest.param([r("a", 1, 2)], id="a value that is never written"),
        pytest.param([w("a", 1, 2), w("b", 3, 4), r("b", 5, 6), r("a", 7, 8), r("b", 9, 10)], id="forth and back"),
        pytest.param([w("a", 1, 2), w("b", 3, 4), r("a", 5, 6)], id="an overwritten value"),
        pytest.param([w("a", 1, 10), w("b", 2, 11), r("a", 3, 4), r("b", 5, 6), r("a", 7, 8)], id="a, b, a"),
        pytest.param([w("a", 1, 2), w("b", 4, 5), r("a", 3, 3.5), r("a", 6, 7)], id="a write that had no effect"),
    ],
)
def test_what_a_register_cannot_do_is_found(history: list[Operation]) -> None:
    assert violations("0", history)
