"""What a connection test found, stage by stage. Knows the stages of SMTP, not how they are spoken."""

from dataclasses import dataclass
from enum import StrEnum

from mailsettings.domain.setting import Setting


class ProbeStage(StrEnum):
    """The steps of handing over one message; SECURE comes before GREET with implicit TLS."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    SECURE = "secure"
    GREET = "greet"
    AUTHENTICATE = "authenticate"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


class Outcome(StrEnum):
    """How a stage ended; UNKNOWN: the server may have done it, we cannot tell."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class FailureCode(StrEnum):
    """Why a probe failed: stable names, meant for programs. Keep alphabetized."""

    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    AUTHENTICATION_FAILED = "smtp_auth_failed"
    AUTHENTICATION_NOT_OFFERED = "smtp_auth_not_offered"
    CLEARTEXT_CREDENTIALS = "cleartext_credentials_refused"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    DELIVERY_UNKNOWN = "delivery_unknown"
    HOST_NOT_FOUND = "host_not_found"
    MESSAGE_REFUSED = "message_refused"
    NOT_SMTP = "not_smtp"
    OAUTH2_TOKEN_FAILED = "oauth2_token_failed"
    PORT_NOT_ALLOWED = "port_not_allowed"
    RECIPIENT_REFUSED = "recipient_refused"
    SECRET_UNREADABLE = "secret_unreadable"
    SENDER_REFUSED = "sender_refused"
    SERVER_REFUSED = "server_refused"
    SETTING_INVALID = "setting_invalid"
    STARTTLS_NOT_OFFERED = "starttls_not_offered"
    STARTTLS_REFUSED = "starttls_refused"
    TLS_CERTIFICATE_INVALID = "tls_certificate_invalid"
    TLS_FAILED = "tls_failed"


@dataclass(frozen=True, slots=True)
class SMTPReply:
    """What the server answered; `text` is cleaned, bounded and free of our credentials."""

    code: int
    enhanced_code: str | None
    text: str

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced_code, self.text)))


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """Why the probe failed: `explanation` in a sentence, `advice` what to do, `setting` what to change."""

    code: FailureCode
    stage: ProbeStage
    explanation: str
    advice: str
    setting: Setting | None = None
    reply: SMTPReply | None = None


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of one probe; `note` says what was observed, in a few words."""

    stage: ProbeStage
    outcome: Outcome
    milliseconds: int = 0
    reply: SMTPReply | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The whole of one connection test, in the order in which it happened."""

    stages: tuple[StageReport, ...]
    failure: ProbeFailure | None = None

    @property
    def succeeded(self) -> bool:
        """Whether every stage that was asked for passed."""
        return self.failure is None
