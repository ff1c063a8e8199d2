"""The settings of the program itself."""

import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from mailsettings.settings import Settings, SettingsInvalid, read

ROOT = Path(__file__).parents[1]
HOSTS = ("mail.example.org", "*.example.com", "[::1]")
PROXIES = (ip_network("10.0.0.0/8"), ip_network("192.0.2.1"))


def test_the_readme_has_a_row_for_each_setting_as_the_code_describes_it() -> None:
    written = subprocess.run(
        [
            sys.executable,
            "-c",
            "import settings_table as it; print(it.with_table(it.README.read_text()), end='')",
        ],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )

    assert written.stdout == (ROOT / "README.md").read_text(), "run: .venv/bin/python scripts/settings_table.py"


def test_without_any_setting_everything_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/nobody")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    assert read().embedded
    assert read().database.startswith("sqlite:////")
    assert read().database.endswith("/mailsettings.db")


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        (
            "SMTP_ALLOWED_NETWORKS",
            "127.0.0.0/8, ::1/128",
            "tested_networks",
            (ip_network("127.0.0.0/8"), ip_network("::1/128")),
        ),
        ("SMTP_ALLOWED_PORTS", "25,587", "tested_ports", frozenset({25, 587})),
        ("SMTP_EGRESS", "allowlist", "smtp_egress", "allowlist"),
        ("SMTP_DEADLINE_SECONDS", "2.5", "smtp_deadline_seconds", 2.5),
        ("DATABASE_URL", "postgresql://u@h/d", "embedded", False),
        ("LOG_FORMAT", "text", "log_format", "text"),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "9000", "port", 9000),
        ("ALLOWED_HOSTS", "mail.example.org, *.example.com,[::1]", "allowed_hosts", HOSTS),
        ("TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1", "trusted_proxies", PROXIES),
        ("DEV", "true", "tested_ports", None),
    ],
)
def test_a_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(f"MAILSETTINGS_{name}", value)

    assert expected == getattr(read(), field)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_ALLOWED_NETWORKS", "canary-17"),
        ("SMTP_ALLOWED_PORTS", "canary-17"),
        ("SMTP_ALLOWED_PORTS", "70000"),
        ("SMTP_DEADLINE_SECONDS", "0"),
        ("SMTP_EHLO_NAME", "canary 17"),
        ("TOKEN_LIFETIME_SECONDS", "1"),
        ("LOG_FORMAT", "canary-17"),
        ("PORT", "canary-17"),
        ("ALLOWED_HOSTS", "canary-17:80"),
        ("ALLOWED_HOSTS", "https://canary-17"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "canary*.example.org"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "canary-17"),
        ("HEADERS_SECONDS", "0"),
        ("REQUESTS_AT_ONCE_EACH", "0"),
        ("OAUTH2_AUTHORITY", "http://canary-17"),
        ("ADMIN_PASSWORD", "short"),
        ("DATBASE_URL", "postgresql://u:canary-17@h/d"),
    ],
)
def test_a_malformed_or_unknown_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MAILSETTINGS_{name}", value)

    with pytest.raises(SettingsInvalid, match=f"^MAILSETTINGS_{name} ") as refused:
        read()

    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_secrets_in_settings_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_ADMIN_PASSWORD", "canary-17")
    monkeypatch.setenv("MAILSETTINGS_CLIENT_SECRET", "canary-17")
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", "postgresql://u:canary-17@h/d")

    assert "canary" not in f"{read()!r} {read()} {read().model_dump()}"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
