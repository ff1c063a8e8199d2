"""The database's clock, so that processes on machines whose clocks differ agree on what is how old."""

from typing import Any

from sqlalchemy import Float, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Now(FunctionElement[float]):
    """Seconds since the epoch when the statement began; PostgreSQL's own `now()` is as old as the transaction."""

    type = Float(53)
    inherit_cache = True


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # to the millisecond; unixepoch('subsec') needs 3.42


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS double precision)"


async def now(connection: AsyncConnection) -> float:
    """Seconds since the epoch by the database's clock."""
    return (await connection.execute(select(Now()))).scalar_one()
