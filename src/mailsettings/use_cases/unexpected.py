"""Unexpected errors as the log shows them: where they were raised, without their messages.

A message may repeat what a mail server or a caller sent, and so hold a secret. Files, lines and kinds never do.
"""

import traceback
from collections.abc import Iterator


def outline(error: BaseException) -> str:
    """Return the traceback of *error* and of the errors that led to it, each with its kind alone."""
    return "".join(_lines(error)).rstrip()


def _lines(error: BaseException) -> Iterator[str]:
    previous = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if previous is not None:
        yield from _lines(previous)
        yield "which led to:\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__name__}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _lines(part)
