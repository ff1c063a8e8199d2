"""How many bytes of requests a connection keeps: what is being received, and what waits for its answer."""

from collections import deque


class PendingBytes:
    """Sizes as far as the parser has told of them."""

    def __init__(self) -> None:
        self.head = 0
        self._body = 0
        self._is_answered = False  # before it was complete
        self._complete: deque[int] = deque()

    @property
    def total(self) -> int:
        """Bytes of all."""
        return sum(self._complete) + self.head + self._body

    def begin(self) -> None:
        """Expect another request."""
        self.head = self._body = 0
        self._is_answered = False

    def add_to_body(self, size: int) -> None:
        """Count a part of the body, which is dropped when the answer is there already."""
        if not self._is_answered:
            self._body += size

    def complete(self) -> None:
        """Keep what was received until it is answered."""
        if not self._is_answered:
            self._complete.append(self.head + self._body)
        self.head = self._body = 0

    def answer(self) -> None:
        """Forget the oldest."""
        if self._complete:
            self._complete.popleft()
        else:
            self._is_answered = True
            self.head = self._body = 0
