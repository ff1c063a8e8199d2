"""Keep answers as bytes, so that an unchanged value is not turned into JSON and headers again for each request."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.responses import Response

MAX_KEPT = 256

Value = TypeVar("Value")


class KeptAnswers(Generic[Value]):
    """The responses that *make* returns for the values that were asked for last, at most *max_kept* of them.

    A value is recognised by its identity: the store returns the same object while nothing has changed. Requests
    share a response, so it contains nothing that depends on a request, and nothing may change it.
    """

    def __init__(self, make: Callable[[Value], Response], max_kept: int = MAX_KEPT) -> None:
        self._make = make
        self._max_kept = max_kept
        # Each value is kept as well, because a new object may get the id of an object that is gone.
        self._kept: OrderedDict[int, tuple[Value, Response]] = OrderedDict()

    def of(self, value: Value) -> Response:
        """Return the response that shows *value*."""
        kept = self._kept.get(id(value))
        if kept is None:
            kept = self._kept[id(value)] = value, self._make(value)
            if len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(id(value))
        return kept[1]
