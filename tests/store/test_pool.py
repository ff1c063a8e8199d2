"""What the store says of its connections."""

from mailsettings.store.database import SQLStore


async def test_a_transaction_takes_a_connection_and_returns_it(store: SQLStore) -> None:
    before = store.pool()
    async with store.writing():
        during = store.pool()
    after = store.pool()

    assert (before["in_use"], before["idle"], before["overflow"]) == (0, 0, 0)
    assert (during["in_use"], during["idle"]) == (1, 0)
    assert (after["in_use"], after["idle"]) == (0, 1)
    assert before["size"] == during["size"] >= 1
