"""The errors that end a conversation early."""

from typing import Self

import aiosmtplib

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, Steps, SuggestedChange
from mailsettings.domain.findings import failure

WIRE_ERRORS = (aiosmtplib.SMTPException, OSError, ValueError, OverflowError, TypeError)
"""The errors that sockets, TLS and aiosmtplib raise for bad input from a server.

`TimeoutError`, `ssl.SSLError` and `socket.gaierror` are `OSError`; `UnicodeError` is a `ValueError`.
"""


class StageFailed(Exception):
    """The test itself found a failure, in *stage* or else in the current stage."""

    def __init__(
        self,
        code: FailureCode,
        explanation: str = "",
        steps: Steps = (),
        changes: tuple[SuggestedChange, ...] = (),
        stage: ProbeStage | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.stage = stage
        self._words = (explanation, steps, changes)

    @classmethod
    def of(cls, found: ProbeFailure) -> Self:
        """Return the error for *found*."""
        return cls(found.code, found.explanation, found.steps, found.changes)

    def failure(self, stage: ProbeStage) -> ProbeFailure:
        """Return the failure, in this error's stage or else in *stage*."""
        explanation, steps, changes = self._words
        return failure(self.code, self.stage or stage, explanation=explanation, steps=steps, changes=changes)


class ReplyError(Exception):
    """The server sent another reply than the expected reply; `text` is not yet redacted."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class TokenRejected(ReplyError):
    """The server rejected an access token; `challenge` has its details about the token, not yet redacted."""

    def __init__(self, code: int, text: str, challenge: str) -> None:
        super().__init__(code, text)
        self.challenge = challenge
