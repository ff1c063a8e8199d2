"""Failed logins in the database: seen by every replica, kept without the names that were tried."""

from mailsettings.domain.guessing import Failures
from mailsettings.store.sealing import Sealer
from mailsettings.store.sql_store import SQLStore

from databases import KEY


async def test_failures_are_seen_by_another_replica(store: SQLStore, database_url: str) -> None:
    async with store.writing() as work:
        await work.login_failures.remember("account|älice \ud800", Failures(1, 10.5, 0))
        await work.login_failures.remember("account|älice \ud800", Failures(2, 1_800_000_000.25, 1_800_000_060.5))
    other = SQLStore(database_url, Sealer(KEY))
    async with other.reading() as view:
        found = await view.login_failures.of("account|älice \ud800")
        nothing = await view.login_failures.of("account|bob")
    await other.close()

    assert found == Failures(2, 1_800_000_000.25, 1_800_000_060.5)
    assert nothing == Failures()


async def test_failures_are_forgotten_one_by_one_and_by_age(store: SQLStore) -> None:
    async with store.writing() as work:
        for number, subject in enumerate(("a", "b", "c")):
            await work.login_failures.remember(subject, Failures(1, float(number), 0))
        forgotten = await work.login_failures.forget("c")
        nothing = await work.login_failures.forget("nobody")
        await work.login_failures.forget_before(1.0)

    async with store.reading() as view:
        left = [(await view.login_failures.of(subject)).count for subject in ("a", "b", "c")]
    assert (forgotten, nothing, left) == (True, False, [0, 1, 0])
