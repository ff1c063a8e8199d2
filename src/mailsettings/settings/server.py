"""Settings of the HTTP server: addresses, proxies, limits of requests, TLS, shutdown."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from mailsettings.settings.base import PREFIX, Address, HostNames, Networks, Port, SettingsGroup, split_at_commas


class ServerSettings(SettingsGroup):
    """The HTTP server."""

    host: str = Field(
        default="127.0.0.1",
        description="The address that `serve` listens on, or several separated by commas; `::` is all addresses, "
        "of IPv4 too. The option `--host` wins.",
    )
    port: Port = Field(default=8080, description="The port that `serve` listens on; its option `--port` wins.")
    allowed_hosts: HostNames = Field(
        default=(),
        description="Names that the `Host` header may have, without port, separated by commas; `*.example.org` "
        "allows every name below it. By default any name.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Networks in CIDR form, separated by commas, of the proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are trusted.",
    )
    max_connections: int = Field(
        default=2048,
        ge=16,
        le=1_000_000,
        description="Open client connections in one process, at most. One address gets at most half of them, "
        "unless it belongs to a trusted proxy.",
    )
    headers_timeout_seconds: float = Field(
        default=10, gt=0, le=600, description="Time that a client has to send the headers of a request."
    )
    body_timeout_seconds: float = Field(
        default=30, gt=0, le=600, description="Time that a client then has to send the body."
    )
    response_timeout_seconds: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Time that a client has to read the next 128 KiB of a long response.",
    )
    keep_alive_timeout_seconds: float = Field(
        default=75,
        gt=0,
        le=3600,
        description="Time that an idle connection stays open for the next request; set it longer than the proxy "
        "in front does.",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the server's certificate, followed by the intermediate ones; by default no TLS. "
        "The server reloads it when it changes. The option `--tls-certificate` wins.",
    )
    tls_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of that certificate's private key, not encrypted. The option `--tls-key` wins.",
    )
    metrics_listen: Address | None = Field(
        default=None,
        description="Address and port of a second HTTP listener of `serve` that needs no token, such as "
        "`127.0.0.1:9100`, for `/metrics`, `/health/live` and `/health/ready`; by default there is none.",
    )
    drain_timeout_seconds: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Time after SIGTERM in which `serve` still accepts requests while `/health/ready` answers "
        "503.",
    )
    grace_timeout_seconds: float = Field(
        default=30, ge=0, le=600, description="Time that running requests then have to finish."
    )
    max_concurrent_requests_per_client: int = Field(
        default=32,
        ge=1,
        le=10000,
        description="Concurrent requests of one client in one process, at most.",
    )
    public_url: str | None = Field(
        default=None,
        description="URL under which clients reach this service, used in `Location` and the OpenAPI documents; by "
        "default the URL of the request.",
    )

    @field_validator("host")
    @classmethod
    def _has_addresses(cls, host: str) -> str:
        if not split_at_commas(host):
            raise ValueError("it must be an address, or several separated by commas")
        return host

    @property
    def hosts(self) -> Sequence[str]:
        """The addresses that the service listens on, without brackets; both of `::`."""
        given = [host.strip("[]") for host in split_at_commas(self.host)]
        both = ["0.0.0.0"] if "::" in given else []  # noqa: S104  # the operator chooses it
        return list(dict.fromkeys([*given, *both]))

    @field_validator("tls_key")
    @classmethod
    def _goes_with_the_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_certificate") is None):
            raise ValueError(f"{PREFIX}TLS_CERTIFICATE and this setting go together: set both or neither")
        return key
