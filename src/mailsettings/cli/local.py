"""Start what needs the whole service, which is imported then and not before: `running.py` for light modules."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mailsettings.bootstrap.backend import Backend
    from mailsettings.domain.access import Principal

Result = TypeVar("Result")


def run(use: Callable[["Backend"], Awaitable[Result]], **options: Any) -> Result:
    """Return the result of *use* on a backend, see `running.run`."""
    from mailsettings.cli import running

    return running.run(use, **options)


def operator() -> "Principal":
    """Return the principal of this command, see `running.operator`."""
    from mailsettings.cli import running

    return running.operator()
