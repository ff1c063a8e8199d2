"""A number of requests from both sources, in pieces that a seed makes again, and what they found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz import documented, mutations
from fuzz.target import Raw, Target

_PIECE = 1000
"""Requests with one seed: Hypothesis remembers every example of a run, and slows down over a long one."""


@dataclass
class Campaign:
    """Fires at *target*; `found` has one request for each kind of finding, and how often it came.

    `tell` hears of a new kind at once, so that a run that is broken off has not run in vain.
    """

    target: Target
    documents: list[dict[str, Any]]
    tell: Callable[[str, Raw], None] = lambda _what, _raw: None
    found: dict[str, tuple[Raw, int]] = field(default_factory=dict)

    def run(self, requests: int, first_seed: int, progress: Callable[[], None] = lambda: None) -> None:
        """At least *requests* requests, half of them by the documents, half broken beyond them."""
        piece, last = first_seed, self.target.requests + requests
        sources = (self._documented(), self._broken())
        while self.target.requests < last:
            size = min(_PIECE, max(1, (last - self.target.requests) // 2))
            sources[piece % 2](piece, size)
            piece += 1
            progress()

    def _documented(self) -> Callable[[int, int], None]:
        made = documented.cases(self.documents, self.target.planted.secret)
        mostly = st.integers(0, 7).map(bool)

        def run(number: int, size: int) -> None:
            @seed(number)
            @_of(size)
            @given(made, st.booleans(), mostly)
            def fire(case: documented.Case, probe_works: bool, as_admin: bool) -> None:
                raw = documented.as_sent(case, probe_works=probe_works, as_admin=as_admin)
                answer, broken = self.target.fire(raw)
                self._note(raw, [*broken, *documented.undocumented(case, answer)])

            fire()

        return run

    def _broken(self) -> Callable[[int, int], None]:
        made = mutations.requests(self.target.planted.secret)

        def run(number: int, size: int) -> None:
            @seed(number)
            @_of(size)
            @given(made)
            def fire(raw: Raw) -> None:
                self._note(raw, self.target.fire(raw)[1])

            fire()

        return run

    def _note(self, raw: Raw, broken: list[str]) -> None:
        for what in broken:
            first, times = self.found.get(what, (raw, 0))
            self.found[what] = first, times + 1
            if times == 0:
                self.tell(what, raw)


def _of(size: int) -> settings:
    return settings(
        max_examples=size,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
