"""Settings about connection tests."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mailsettings.settings.base import Networks, Ports, SettingsGroup


class SMTPSettings(SettingsGroup):
    """Which servers connection tests may reach, and the limits of tests."""

    smtp_egress: Literal["private", "public", "allowlist"] = Field(
        default="private",
        description="Addresses that connection tests may reach: `private` (private and public ones), `public` "
        "(public ones only) or `allowlist` (only the allowed networks).",
    )
    smtp_allowed_networks: Networks = Field(
        default=(),
        description="Networks in CIDR form, separated by commas, that connection tests may reach in addition, "
        "such as loopback or link-local ones.",
    )
    smtp_allowed_ports: Ports = Field(
        default=(25, 465, 587, 1025, 2465, 2525, 2587),
        description="Ports that connection tests may use, separated by commas.",
    )
    smtp_ehlo_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="Name sent in EHLO; by default the full DNS name of this machine, or else the address that it "
        "connects from.",
    )
    smtp_test_timeout_seconds: float = Field(
        default=15, gt=0, le=120, description="Time limit of a whole connection test."
    )
    smtp_max_concurrent_tests: int = Field(
        default=16,
        ge=1,
        le=10000,
        description="Concurrent connection tests in one process, at most.",
    )
    smtp_max_concurrent_tests_per_client: int = Field(
        default=4,
        ge=1,
        le=10000,
        description="Concurrent connection tests of one client, at most, counted over all processes that share a "
        "database.",
    )
    smtp_max_tests_per_minute_per_client: int = Field(
        default=30,
        ge=1,
        le=10000,
        description="Connection tests that one client may start in a minute, counted over all processes that "
        "share a database.",
    )
    smtp_ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust for mail servers, in addition to those of the "
        "system.",
    )
    smtp_allow_cleartext_login: bool = Field(
        default=False,
        description="Whether a connection test may send a password over an unencrypted connection.",
    )
    oauth2_authority: str = Field(
        default="https://login.microsoftonline.com",
        pattern=r"^https://[^\s?#]+$",
        description="Token authority of Microsoft; national clouds have another address.",
    )
