"""The meaning of each failure and warning of a connection test, for the person who has to fix it.

The texts are for people and may be improved; the codes are for programs and never change. The texts contain no
vendor's name of a setting: a failure lists the settings to change, and each API shows these under its own names.
"""

from collections.abc import Mapping

from mailsettings.domain.connection_test import (
    FailureCode,
    ProbeFailure,
    ProbeStage,
    Steps,
    SuggestedChange,
    WarningCode,
)
from mailsettings.domain.findings import connection, delivery, encryption, login
from mailsettings.domain.findings.meaning import Meaning
from mailsettings.domain.observation import SMTPReply

FAILURES: Mapping[FailureCode, Meaning] = {
    **connection.FINDINGS,
    **encryption.FINDINGS,
    **login.FINDINGS,
    **delivery.FINDINGS,
}
WARNINGS: Mapping[WarningCode, str] = {
    WarningCode.ADDRESS_UNREACHABLE: "one of the host's addresses does not answer, which delays clients.",
    WarningCode.CERTIFICATE_EXPIRES_SOON: "a certificate of the server expires within 30 days.",
    WarningCode.CREDENTIALS_IN_CLEAR: "the login crosses the network unencrypted.",
    WarningCode.SENDER_DOMAIN_DIFFERS: "the sender's domain is not the login's domain; providers may refuse it.",
    WarningCode.TLS_BELOW_1_3: "the server does not support TLS 1.3, the newest version.",
}


def failure(  # noqa: PLR0913  # all but the first two have good defaults
    code: FailureCode,
    stage: ProbeStage,
    *,
    explanation: str = "",
    steps: Steps = (),
    changes: tuple[SuggestedChange, ...] = (),
    reply: SMTPReply | None = None,
) -> ProbeFailure:
    """Return a failure of *code* in *stage*, with the texts of the catalogue where none are given."""
    meaning = FAILURES[code]
    return ProbeFailure(
        code,
        stage,
        meaning.title,
        explanation or meaning.explanation,
        steps or meaning.steps,
        changes or ((SuggestedChange(meaning.setting),) if meaning.setting else ()),
        reply,
    )
