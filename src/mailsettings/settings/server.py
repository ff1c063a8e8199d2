"""Settings about how requests come in, and how the program ends."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from mailsettings.settings.base import PREFIX, HostNames, Networks, Port, SettingsGroup


class ServerSettings(SettingsGroup):
    """Addresses, proxies, limits of requests, TLS, the end."""

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
    max_connections: int = Field(
        default=2048,
        ge=16,
        le=1_000_000,
        description="How many connections of clients one process has open at once. One address gets half of them "
        "at most, unless it is a trusted proxy's.",
    )
    headers_seconds: float = Field(
        default=10, gt=0, le=600, description="How long a client may take to send the headers of a request."
    )
    body_seconds: float = Field(
        default=30, gt=0, le=600, description="How long a client may then take to send the body."
    )
    answer_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        description="How long it may take for the next 128 KiB of a long answer.",
    )
    keep_alive_seconds: float = Field(
        default=75,
        gt=0,
        le=3600,
        description="How long an idle connection stays open for the next request; longer than a proxy in front "
        "keeps it.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate that `serve` shows, with those between it and its authority; by "
        "default no TLS. Read again when it changes. The option `--tls-certificate` wins.",
    )
    tls_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of that certificate's private key, not encrypted. The option `--tls-key` wins.",
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
        default=None,
        description="How callers reach this service, for `Location` and the OpenAPI documents; "
        "by default as they did.",
    )

    @field_validator("tls_key")
    @classmethod
    def _goes_with_the_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError(f"{PREFIX}TLS_CERTIFICATE and it are given both or not at all")
        return key
