"""The result of a connection test, stage by stage, its progress, and how much a caller has used of its tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import AddressAttempt, ServerGreeting, SMTPReply, TLSSession
from mailsettings.domain.setting import Setting

USAGE_WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Usage:
    """The caller's running tests, those begun in the last minute, and the age of the oldest of these."""

    running: int = 0
    begun: int = 0
    oldest_seconds: float = 0


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
    """How a stage ended; UNKNOWN means that the server may or may not have done it."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class FailureCode(StrEnum):
    """Why a test failed: stable names for programs; `domain/findings` explains each of them."""

    ACCOUNT_DISABLED = "account_disabled"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    APP_PASSWORD_REQUIRED = "app_password_required"
    AUTHENTICATION_DISABLED = "smtp_auth_disabled"
    AUTHENTICATION_FAILED = "smtp_auth_failed"
    AUTHENTICATION_NOT_OFFERED = "smtp_auth_not_offered"
    AUTHENTICATION_REQUIRED = "smtp_auth_required"
    CLEARTEXT_CREDENTIALS = "cleartext_credentials_refused"
    CLIENT_REFUSED = "client_refused"
    CONNECTION_LOST = "connection_lost"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMED_OUT = "connection_timed_out"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    DELIVERY_UNKNOWN = "delivery_unknown"
    EHLO_NAME_REFUSED = "ehlo_name_refused"
    ENCRYPTION_REQUIRED = "encryption_required"
    HOST_NOT_FOUND = "host_not_found"
    HOST_UNREACHABLE = "host_unreachable"
    HOST_WITHOUT_ADDRESS = "host_without_address"
    INTERNAL = "internal"
    MECHANISM_REFUSED = "smtp_auth_mechanism_refused"
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_TOO_LARGE = "message_too_large"
    NAME_SERVER_FAILED = "name_server_failed"
    NAME_SERVER_TIMED_OUT = "name_server_timed_out"
    NOT_SMTP = "not_smtp"
    OAUTH2_AUTHORITY_UNREACHABLE = "oauth2_authority_unreachable"
    OAUTH2_CLIENT_SECRET_EXPIRED = "oauth2_client_secret_expired"
    OAUTH2_CLIENT_SECRET_WRONG = "oauth2_client_secret_wrong"
    OAUTH2_CLIENT_UNKNOWN = "oauth2_client_unknown"
    OAUTH2_CONSENT_MISSING = "oauth2_consent_missing"
    OAUTH2_LOGIN_REFUSED = "oauth2_login_refused"
    OAUTH2_TENANT_UNKNOWN = "oauth2_tenant_unknown"
    OAUTH2_TOKEN_REFUSED = "oauth2_token_refused"
    POLICY_REFUSED = "policy_refused"
    PORT_NOT_ALLOWED = "port_not_allowed"
    RECIPIENT_REFUSED = "recipient_refused"
    RELAY_REFUSED = "relay_refused"
    SECRET_UNREADABLE = "secret_unreadable"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    SENDER_NOT_VERIFIED = "sender_not_verified"
    SENDING_LIMIT_REACHED = "sending_limit_reached"
    SENDING_NOT_PERMITTED = "sending_not_permitted"
    SERVER_FAULT = "server_fault"
    SERVER_REFUSED = "server_refused"
    SERVER_UNAVAILABLE = "server_unavailable"
    SETTING_INVALID = "setting_invalid"
    STARTTLS_NOT_OFFERED = "starttls_not_offered"
    STARTTLS_REFUSED = "starttls_refused"
    TEMPORARY_REFUSAL = "temporary_refusal"
    TLS_CERTIFICATE_EXPIRED = "tls_certificate_expired"
    TLS_CERTIFICATE_INVALID = "tls_certificate_invalid"
    TLS_CERTIFICATE_NOT_YET_VALID = "tls_certificate_not_yet_valid"
    TLS_CERTIFICATE_SELF_SIGNED = "tls_certificate_self_signed"
    TLS_CLIENT_CERTIFICATE_REQUIRED = "tls_client_certificate_required"
    TLS_HANDSHAKE_FAILED = "tls_handshake_failed"
    TLS_ISSUER_UNKNOWN = "tls_issuer_unknown"
    TLS_KEY_EXCHANGE_WEAK = "tls_key_exchange_weak"
    TLS_NAME_MISMATCH = "tls_name_mismatch"
    TLS_NAME_UNRECOGNIZED = "tls_name_unrecognized"
    TLS_NO_COMMON_ALGORITHM = "tls_no_common_algorithm"
    TLS_SERVER_ERROR = "tls_server_error"
    TLS_VERSION_TOO_OLD = "tls_version_too_old"
    UNEXPECTED_REPLY = "unexpected_reply"
    WRONG_CONNECTION_SECURITY = "wrong_connection_security"


class WarningCode(StrEnum):
    """What works and should still be changed: stable names; `domain/findings` explains each of them."""

    ADDRESS_UNREACHABLE = "address_unreachable"
    CERTIFICATE_EXPIRES_SOON = "certificate_expires_soon"
    CREDENTIALS_IN_CLEAR = "credentials_in_clear"
    SENDER_DOMAIN_DIFFERS = "sender_domain_differs"
    TLS_BELOW_1_3 = "tls_below_1_3"


SettingValue = ConnectionSecurity | int | str


@dataclass(frozen=True, slots=True)
class SuggestedChange:
    """A setting to check or change; `current` and `suggested` are None if they are secret or unknown."""

    setting: Setting
    current: SettingValue | None = None
    suggested: SettingValue | None = None


@dataclass(frozen=True, slots=True)
class SettingStep:
    """A step that changes *setting*; an API without a field for it says where else to change it."""

    setting: Setting
    text: str

    def __str__(self) -> str:
        return self.text


Steps = tuple[str | SettingStep, ...]
"""What the user can do, the most promising step first."""


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """Why the test failed: a title, a sentence, the steps to take, and the settings to change."""

    code: FailureCode
    stage: ProbeStage
    title: str
    explanation: str
    steps: Steps = ()
    changes: tuple[SuggestedChange, ...] = ()
    reply: SMTPReply | None = None


@dataclass(frozen=True, slots=True)
class ProbeWarning:
    """Something that works and should still be changed."""

    code: WarningCode
    explanation: str
    setting: Setting | None = None


@dataclass(frozen=True, slots=True)
class StageObservation:
    """The observations of one stage; `mechanism` is that of the login, `note` holds anything else."""

    attempts: tuple[AddressAttempt, ...] = ()
    greeting: ServerGreeting | None = None
    tls: TLSSession | None = None
    mechanism: str | None = None
    reply: SMTPReply | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class StageReport:
    """The result of one stage."""

    stage: ProbeStage
    outcome: Outcome
    milliseconds: int = 0
    observed: StageObservation = field(default_factory=StageObservation)


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The result of one connection test, with every stage in the order of the protocol."""

    stages: tuple[StageReport, ...]
    failure: ProbeFailure | None = None
    warnings: tuple[ProbeWarning, ...] = ()
    milliseconds: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether every requested stage passed."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class ProbeBegun:
    """The test has begun; `stages` are in the order of the connection."""

    stages: tuple[ProbeStage, ...]


@dataclass(frozen=True, slots=True)
class ScanBegun:
    """The fallback scan has begun: it looks at other ports and modes, and tries no login."""


ProbeProgress = ProbeBegun | StageReport | ScanBegun
"""An event of a running test. A later report of a stage replaces an earlier report of the same stage."""
ProbeListener = Callable[[ProbeProgress], None]
"""Called with each event; it must return at once, since the test waits for it."""
