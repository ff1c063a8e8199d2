"""What a run consists of: which database, how many servers, and what can happen to them."""

import asyncio
import random
from pathlib import Path

from mailsettings.store import migrations

from chaos.campaign import Campaign, Trouble
from chaos.fleet import Fleet, running_fleet
from chaos.report import Report
from support.postgres import Postgres, running_pair, running_postgres
from support.tcp_proxy import Proxy, proxied

LONGEST_SECONDS = 4.0
"""How long a trouble lasts at most, where it lasts; longer than a silent database is waited for."""
LONGEST_SHORT_SECONDS = 0.8
"""In a run that has no time."""
REPLICAS = 3
EMBEDDED = 8
MANY_TOKENS = {
    "TOKEN_LIFETIME_SECONDS": "86400",
    "MAX_CONCURRENT_REQUESTS_PER_CLIENT": "1000",
    "LOG_LEVEL": "warning",
}


async def on_postgresql(folder: Path, seconds: float, seed: int) -> Report:
    """Three servers, one PostgreSQL behind a proxy."""
    with running_postgres() as postgres, proxied(postgres.port) as proxy:
        postgres.execute("CREATE DATABASE chaos")
        migrations.migrate(postgres.url("chaos"))
        url = postgres.url("chaos").replace(f":{postgres.port}/", f":{proxy.port}/")
        with running_fleet(folder, REPLICAS, DATABASE_URL=url, **MANY_TOKENS) as fleet:
            longest = LONGEST_SECONDS if seconds else LONGEST_SHORT_SECONDS
            of_the_database = {**_of_postgres(postgres, longest), **_of_the_wire(proxy, longest)}
            troubles = {"kill": killing(fleet, 1), **of_the_database}
            return await Campaign("PostgreSQL, 3 servers", fleet, troubles, seed).run(seconds)


async def on_sqlite(folder: Path, seconds: float, seed: int) -> Report:
    """Eight servers, one file."""
    with running_fleet(folder, EMBEDDED, **MANY_TOKENS) as fleet:
        troubles = {"kill one": killing(fleet, 1), "kill some": killing(fleet, 4)}
        return await Campaign("SQLite, 8 servers", fleet, troubles, seed).run(seconds)


async def with_fail_over(folder: Path, seconds: float, seed: int) -> Report:
    """Three servers, a primary and its standby, which takes over whenever the primary fails."""
    with running_pair() as (primary, standby):
        primary.execute("CREATE DATABASE chaos")
        migrations.migrate(primary.url("chaos"))
        url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/chaos"
        with running_fleet(folder, REPLICAS, DATABASE_URL=url, **MANY_TOKENS) as fleet:
            troubles = {"fail-over": _failing_over(primary, standby)}
            return await Campaign("PostgreSQL with a standby, 3 servers", fleet, troubles, seed).run(seconds)


def _failing_over(primary: Postgres, standby: Postgres) -> Trouble:
    following = [standby, primary]

    async def fail_over(_dice: random.Random) -> None:
        next_one, current = following
        if not next_one.runs:
            await asyncio.to_thread(next_one.follow, current)
        await asyncio.to_thread(current.kill)
        await asyncio.to_thread(next_one.promote)
        following.reverse()

    return fail_over


def killing(fleet: Fleet, most: int) -> Trouble:
    """Kills up to so many servers at once, and starts them again."""

    async def kill(dice: random.Random) -> None:
        victims = dice.sample(fleet.members, dice.randint(1, most))
        for member in victims:
            fleet.kill(member)
        await asyncio.sleep(0.3 * dice.random())
        for member in victims:
            await asyncio.to_thread(fleet.start, member)

    return kill


def _of_postgres(postgres: Postgres, longest: float) -> dict[str, Trouble]:
    async def restart(dice: random.Random) -> None:
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(longest * dice.random())
        await asyncio.to_thread(postgres.start)

    async def crash(_dice: random.Random) -> None:
        await asyncio.to_thread(postgres.kill)
        await asyncio.to_thread(postgres.start)

    async def freeze(dice: random.Random) -> None:
        with postgres.frozen():
            await asyncio.sleep(longest * dice.random())

    return {"restart": restart, "crash": crash, "freeze": freeze}


def _of_the_wire(proxy: Proxy, longest: float) -> dict[str, Trouble]:
    async def cut(_dice: random.Random) -> None:
        proxy.cut()

    async def delay(dice: random.Random) -> None:
        proxy.delay(0.1 * dice.random())
        await asyncio.sleep(longest * dice.random())
        proxy.delay(0)

    async def hold(dice: random.Random) -> None:
        proxy.hold()
        await asyncio.sleep(longest * dice.random())
        proxy.resume()

    async def lose_answers(dice: random.Random) -> None:
        proxy.hold_answers()
        await asyncio.sleep(longest * dice.random())
        proxy.cut()
        proxy.resume()

    return {"cut": cut, "delay": delay, "hold": hold, "lose answers": lose_answers}
