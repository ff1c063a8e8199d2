"""Keep the bytes of answers, so that an unchanged value is not turned into JSON again for each request."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_KEPT = 256

Value = TypeVar("Value")


class KeptBytes(Generic[Value]):
    """The bytes that *make* returns for the values that were asked for last, at most *max_kept* of them.

    A value is recognised by its identity: the store returns the same object while nothing has changed. The bytes
    never contain what depends on the request.
    """

    def __init__(self, make: Callable[[Value], bytes], max_kept: int = MAX_KEPT) -> None:
        self._make = make
        self._max_kept = max_kept
        # Each value is kept as well, because a new object may get the id of an object that is gone.
        self._kept: OrderedDict[int, tuple[Value, bytes]] = OrderedDict()

    def of(self, value: Value) -> bytes:
        """Return the bytes of *value*."""
        kept = self._kept.get(id(value))
        if kept is None:
            kept = self._kept[id(value)] = value, self._make(value)
            if len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(id(value))
        return kept[1]
