"""What ends a conversation early.

Refused          a finding of our own
Answered         a reply that does not go on
└── TokenRejected
WIRE_ERRORS      what sockets, TLS and aiosmtplib have been seen to raise
"""

from typing import Self

import aiosmtplib

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, Steps, SuggestedChange
from mailsettings.domain.findings import failure

WIRE_ERRORS = (aiosmtplib.SMTPException, OSError, ValueError, OverflowError, TypeError)
"""`TimeoutError`, `ssl.SSLError` and `socket.gaierror` are `OSError`; `UnicodeError` is a `ValueError`."""


class StageFailed(Exception):
    """A stage, the running one unless another is named, ends in a failure of our own finding."""

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
        """*found*, to be raised in its stage."""
        return cls(found.code, found.explanation, found.steps, found.changes)

    def failure(self, stage: ProbeStage) -> ProbeFailure:
        """The finding, in *stage* unless this names one."""
        explanation, steps, changes = self._words
        return failure(self.code, self.stage or stage, explanation=explanation, steps=steps, changes=changes)


class ReplyError(Exception):
    """The server's reply is not the one that goes on; `text` as it was sent, and not to be shown."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class TokenRejected(ReplyError):
    """The server refused an access token; `challenge` is what it says of the token, not fit to be shown."""

    def __init__(self, code: int, text: str, challenge: str) -> None:
        super().__init__(code, text)
        self.challenge = challenge
