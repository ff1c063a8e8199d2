"""The settings of this program itself, read from the environment here and nowhere else."""

import ipaddress
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailsettings.domain.secure_url import is_secure
from mailsettings.setting_types import ClaimPath, HostNames, Names, Networks, Pairs, Port, Ports, Seconds

PREFIX = "MAILSETTINGS_"
SHORTEST_PASSWORD = 8
_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class SettingsInvalid(Exception):
    """A setting is unknown or malformed; `str()` names it and does not repeat its value."""


class Settings(BaseSettings):
    """Each field is the environment variable of its name in capitals, with `MAILSETTINGS_` before it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("mailsettings", appauthor=False),
        description="Where the embedded database and the key files are; by default the platform's user data "
        "directory.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="`sqlite:///path` or `postgresql://user:password@host/name`; by default SQLite in the "
        "data directory.",
    )
    sealing_keys_file: Path | None = Field(
        default=None,
        description="File of the keys that secrets are sealed with, such as a mounted secret; it is never "
        "written. By default `sealing-keys` in the data directory.",
    )
    history_versions: int = Field(
        default=50,
        ge=0,
        le=10000,
        description="How many earlier versions of each setting are kept, their secrets sealed; the same number of "
        "all that were removed.",
    )
    admin_password: SecretStr | None = Field(
        default=None,
        description="Password of the account `admin` that the first start makes; by default a random one, "
        "printed once.",
    )
    host: str = Field(
        default="127.0.0.1", description="The address that `serve` listens on; its option `--host` wins."
    )
    port: Port = Field(default=8080, description="The port that `serve` listens on; its option `--port` wins.")
    allowed_hosts: HostNames = Field(
        default=(),
        description="The names in the `Host` header that are answered, without port and with commas between; "
        "`*.example.org` for all below one; by default any.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Networks in CIDR form, with commas between, of the proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed.",
    )
    headers_seconds: float = Field(
        default=10, gt=0, le=600, description="How long a client may take to send the headers of a request."
    )
    body_seconds: float = Field(
        default=30, gt=0, le=600, description="How long it may then take to send the body."
    )
    answer_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        description="How long it may take for the next 32 KiB of a long answer.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate that `serve` shows, with those between it and its authority; by "
        "default no TLS. Read again when it changes. The option `--tls-certificate` wins.",
    )
    tls_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of its private key, not encrypted. The option `--tls-key` wins.",
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        le=600,
        description="How long `serve`, told to end, still takes requests while `/health/ready` is a 503.",
    )
    grace_seconds: float = Field(
        default=30, ge=0, le=600, description="How long what runs may then take before it is cut off."
    )
    requests_at_once_each: int = Field(
        default=32,
        ge=1,
        le=10000,
        description="How many requests of one caller are answered at once in one process.",
    )
    public_url: str | None = Field(
        default=None, description="How callers reach this service, for `Location`; by default as they did."
    )
    smtp_egress: Literal["private", "public", "allowlist"] = Field(
        default="private",
        description="Where connection tests may connect to: `private` and public addresses, `public` ones "
        "only, or an `allowlist`: the allowed networks and nothing else.",
    )
    smtp_allowed_networks: Networks = Field(
        default=(),
        description="Networks in CIDR form, with commas between, that connection tests may reach although "
        "they are loopback, link-local or otherwise closed.",
    )
    smtp_allowed_ports: Ports = Field(
        default=(25, 465, 587, 1025, 2465, 2525, 2587),
        description="Ports that connection tests may use, with commas between.",
    )
    smtp_ehlo_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="The name given to mail servers in EHLO; by default the address we connect from.",
    )
    smtp_deadline_seconds: float = Field(
        default=15, gt=0, le=120, description="How long a whole connection test may take."
    )
    smtp_tests_at_once: int = Field(
        default=16,
        ge=1,
        le=10000,
        description="How many connection tests may run at once in one process, whosever they are.",
    )
    smtp_tests_at_once_each: int = Field(
        default=4,
        ge=1,
        le=10000,
        description="How many of one caller's may run at once, in all processes of one database together.",
    )
    smtp_tests_per_minute_each: int = Field(
        default=30,
        ge=1,
        le=10000,
        description="How many connection tests a caller may begin in a minute, in all of them together.",
    )
    smtp_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities that mail servers are trusted by, beside the system's.",
    )
    smtp_cleartext_login: bool = Field(
        default=False,
        description="Whether a connection test may send a password over an unencrypted connection.",
    )
    oauth2_authority: str = Field(
        default="https://login.microsoftonline.com",
        pattern=r"^https://[^\s?#]+$",
        description="Where Microsoft access tokens are had; other clouds have another address.",
    )
    token_lifetime_seconds: int = Field(
        default=3600, ge=600, le=86400, description="How long an access token is good for."
    )
    client_secret: SecretStr | None = Field(
        default=None,
        description="What OAuth2 clients must show at the token endpoint; by default any secret will do.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="An OpenID Connect issuer, exactly as it names itself, whose access tokens are taken beside "
        "our own; see [external identity](docs/external-identity.md).",
    )
    oidc_audience: Names = Field(
        default=(),
        validate_default=True,
        description="Whom its tokens must be for (`aud`), with commas between; one of them is enough.",
    )
    oidc_permissions: Pairs = Field(
        default=(),
        validate_default=True,
        description="What its tokens allow, as `claim value=permission` with commas between, such as "
        "`mail-admin=manage-system-settings,auditor=view-mail-settings`.",
    )
    oidc_permissions_claim: ClaimPath = Field(
        default=("roles",),
        description="The claim that holds these values; dots go into objects, as in `realm_access.roles`.",
    )
    oidc_subject_claim: ClaimPath = Field(
        default=("sub",), description="The claim that names the caller; one that users cannot change themselves."
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that the issuer is trusted by, in place of the system's.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#@]+$",
        description="Where OpenTelemetry traces are sent to, by OTLP over HTTP, such as `http://collector:4318`; "
        "needs the extra `tracing`; by default there are none.",
    )
    recheck_interval: Seconds | None = Field(
        default=None,
        description="How often each stored mail server is checked without sending mail, such as `15m`, `2h` or "
        "seconds, 60 or more; by default never. See [the watch](docs/watch.md).",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Where it is told that a mail server fails or works again, or that a certificate or secret "
        "ends; an `https` address, or an `http` one of loopback.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="What signs it: 24 to 64 bytes, as `whsec_` and base64 or as text; two with a space between "
        "while the receiver changes.",
    )
    webhook_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that its receiver is trusted by, in place of the system's.",
    )
    log_format: Literal["json", "text"] = Field(default="json", description="`json` or `text`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )
    dev: bool = Field(
        default=False,
        description="As `serve --dev`: readable logs; connection tests may reach loopback and any port.",
    )

    @field_validator("admin_password")
    @classmethod
    def _long_enough(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and len(password.get_secret_value()) < SHORTEST_PASSWORD:
            raise ValueError(f"must have at least {SHORTEST_PASSWORD} characters")
        return password

    @field_validator("tls_key")
    @classmethod
    def _goes_with_the_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError(f"{PREFIX}TLS_CERTIFICATE and it are given both or not at all")
        return key

    @field_validator("oidc_issuer")
    @classmethod
    def _secure(cls, issuer: str | None) -> str | None:
        # OpenID Connect Discovery 3: an issuer has no query.
        if issuer is not None and (not is_secure(issuer) or "?" in issuer):
            raise ValueError("it must be an https address, or an http one of loopback, without a query")
        return issuer

    @field_validator("oidc_audience", "oidc_permissions")
    @classmethod
    def _goes_with_the_issuer(cls, value: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
        issuer = info.data.get("oidc_issuer")
        if issuer and not value:
            raise ValueError(f"with {PREFIX}OIDC_ISSUER it is needed")
        if value and not issuer:
            raise ValueError(f"without {PREFIX}OIDC_ISSUER it means nothing")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _told_securely(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is not None and not is_secure(url.get_secret_value()):
            raise ValueError("it must be an https address, or an http one of loopback")
        if url is not None and info.data.get("recheck_interval") is None:
            raise ValueError(f"without {PREFIX}RECHECK_INTERVAL it means nothing")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        url = info.data.get("webhook_url")
        if url and not secret:
            raise ValueError(f"with {PREFIX}WEBHOOK_URL it is needed")
        if secret and not url:
            raise ValueError(f"without {PREFIX}WEBHOOK_URL it means nothing")
        return secret

    @property
    def database(self) -> str:
        """The URL of the database, without a driver's name."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir.absolute() / 'mailsettings.db'}"

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of ours rather than a server."""
        return self.database.startswith("sqlite:")

    @property
    def tested_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks that are open to connection tests beyond the rule."""
        loopback = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
        return (*self.smtp_allowed_networks, *loopback) if self.dev else self.smtp_allowed_networks

    @property
    def tested_ports(self) -> frozenset[int] | None:
        """The ports that are open to connection tests; None for any."""
        return None if self.dev else frozenset(self.smtp_allowed_ports)


def read() -> Settings:
    """The settings in the environment. Raises `SettingsInvalid` for a name or value that is not taken."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsInvalid(f"{name} is not a setting of mailsettings; see the table in the README.")
    try:
        return Settings()
    except ValidationError as invalid:
        raise SettingsInvalid(_sentence(invalid.errors()[0])) from None


def choose(**chosen: object) -> None:
    """Let this process and those it starts read these values, given by options; None is for not given."""
    for name, value in chosen.items():
        if value is not None:
            os.environ[f"{PREFIX}{name}".upper()] = str(value)


def metrics_directory() -> Path | None:
    """Where the processes of this server count together, by the variable that Prometheus' library has for it."""
    directory = os.environ.get(_METRICS_DIRECTORY)
    return Path(directory) if directory else None


def count_together_in(directory: Path) -> None:
    """Let the processes that this one starts count together."""
    os.environ[_METRICS_DIRECTORY] = str(directory)


def _sentence(finding: Any) -> str:
    name = f"{PREFIX}{finding['loc'][0]}".upper()
    return f"{name} is not valid: {finding['msg'].removeprefix('Value error, ')}."
