"""How many statements a change costs: each is a round trip to PostgreSQL while other writers wait."""

from collections.abc import Iterator
from contextvars import ContextVar

import httpx
import pytest
from sqlalchemy import Engine, event

from support.request_bodies import oracle
from support.service import MAIL_SERVER

MAX_STATEMENTS = 12
_sent: ContextVar[list[str] | None] = ContextVar("sent", default=None)


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Record what this test's own requests send, and not what other tasks of the service send meanwhile."""

    def statement(_connection: object, _cursor: object, text: str, *_: object) -> None:
        note(text)

    def commit(_connection: object) -> None:
        note("COMMIT")

    def note(text: str) -> None:
        sent = _sent.get()
        if sent is not None:
            sent.append(text)

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)
    yield
    event.remove(Engine, "before_cursor_execute", statement)
    event.remove(Engine, "commit", commit)


async def test_a_replacement_takes_at_most_twelve_statements(http: httpx.AsyncClient) -> None:
    counted = []
    for number in range(3):  # the first one creates, and any of them may be the server that reads the signing keys
        sent: list[str] = []
        _sent.set(sent)
        answer = await http.put(MAIL_SERVER, json=oracle(f"a password {number}"))
        _sent.set(None)
        assert answer.status_code == 200
        counted.append(sent)

    fewest = min(counted[1:], key=len)
    assert fewest[-2].startswith("UPDATE audit_head")
    assert len(fewest) <= MAX_STATEMENTS
    assert sum("sealed_keys" in statement for statement in counted[-1]) <= 2
