"""The settings of the program itself."""

import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from mailsettings.bootstrap.identity import create_foreign_tokens
from mailsettings.bootstrap.outgoing import create_prober
from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.network.policy import EgressPolicy
from mailsettings.settings import Settings, SettingsInvalid, read
from mailsettings.settings.effective import effective_settings
from mailsettings.settings.model import RENAMED

from support.canary import Canary

ROOT = Path(__file__).parents[1]
HOSTS = ("mail.example.org", "*.example.com", "[::1]")
STATUS = ListenAddress("relay.example.com", 9588)
LISTENERS = (
    RelayListener(ListenerKind.STARTTLS, ListenAddress("::", 587)),
    RelayListener(ListenerKind.TLS, ListenAddress("0.0.0.0", 465)),
)
OLD_LISTENERS = (RelayListener(ListenerKind.TLS, ListenAddress("192.0.2.1", 3465), old_tls=True),)
PROXIES = (ip_network("10.0.0.0/8"), ip_network("192.0.2.1"))


def test_the_tables_of_settings_have_a_row_for_each() -> None:
    written = subprocess.run(
        [
            sys.executable,
            "-c",
            "import settings_table as it; print(*(it.with_tables(page.read_text()) for page in it.PAGES), sep='')",
        ],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )

    pages = [(ROOT / "docs" / name).read_text() for name in ("settings.md", "external-identity.md")]
    assert written.stdout == "".join(pages) + "\n", "run: .venv/bin/python scripts/settings_table.py"


def test_without_any_setting_everything_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/nobody")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    assert read().embedded
    assert read().database.startswith("sqlite:////")
    assert read().database.endswith("/mailsettings.db")


def test_a_line_end_after_the_database_url_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", "postgresql://u:p@db/mailsettings\n")

    assert read().database == "postgresql://u:p@db/mailsettings"


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
        ("SMTP_TEST_TIMEOUT_SECONDS", "2.5", "smtp_test_timeout_seconds", 2.5),
        ("DATABASE_URL", "postgresql://u@h/d", "embedded", False),
        ("OIDC_PERMISSIONS_CLAIM", "roles", "oidc_permissions_claim", ("roles",)),
        ("OIDC_PERMISSIONS_CLAIM", "realm_access.roles", "oidc_permissions_claim", ("realm_access", "roles")),
        (
            "OIDC_PERMISSIONS_CLAIM",
            r"access.my\.app.roles",
            "oidc_permissions_claim",
            ("access", "my.app", "roles"),
        ),
        ("OIDC_PERMISSIONS_CLAIM", "https://a.org/roles", "oidc_permissions_claim", ("https://a.org/roles",)),
        ("OIDC_SUBJECT_CLAIM", "user.login", "oidc_subject_claim", ("user", "login")),
        ("LOG_FORMAT", "text", "log_format", "text"),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "9000", "port", 9000),
        ("ALLOWED_HOSTS", "mail.example.org, *.example.com,[::1]", "allowed_hosts", HOSTS),
        ("TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1", "trusted_proxies", PROXIES),
        ("DEV", "true", "tested_ports", None),
        ("METRICS_LISTEN", "[::1]:9100", "metrics_listen", ListenAddress("::1", 9100)),
        ("RELAY_STATUS_LISTEN", "relay.example.com:9588", "relay_status_listen", STATUS),
        ("RELAY_LISTEN", "starttls://[::]:587, tls://0.0.0.0:465", "relay_listen", LISTENERS),
        ("RELAY_OLD_TLS", "tls://192.0.2.1:3465", "relay_old_tls", OLD_LISTENERS),
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
        ("SMTP_TEST_TIMEOUT_SECONDS", "0"),
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
        ("HEADERS_TIMEOUT_SECONDS", "0"),
        ("KEEP_ALIVE_TIMEOUT_SECONDS", "0"),
        ("MAX_CONCURRENT_REQUESTS_PER_CLIENT", "0"),
        ("OAUTH2_AUTHORITY", "http://canary-17"),
        ("ADMIN_PASSWORD", "short"),
        ("OTLP_ENDPOINT", "canary-17:4317"),
        ("OTLP_ENDPOINT", "http://user:canary-17@collector"),
        ("OIDC_ISSUER", "http://canary-17.example"),
        ("OIDC_ISSUER", "https://canary-17.example?p=1"),
        ("OIDC_ISSUER", "canary-17"),
        ("OIDC_AUDIENCE", "canary-17"),
        ("OIDC_PERMISSIONS", "canary-17=view-mail-settings"),
        ("OIDC_PERMISSIONS", "canary-17"),
        ("OIDC_PERMISSIONS", "canary-17="),
        ("OIDC_PERMISSIONS_CLAIM", "canary-17..roles"),
        ("OIDC_SUBJECT_CLAIM", ".canary-17"),
        ("DATBASE_URL", "postgresql://u:canary-17@h/d"),
        ("METRICS_LISTEN", "canary-17"),
        ("METRICS_LISTEN", "[canary-17]:80"),
        ("RELAY_STATUS_LISTEN", "127.0.0.1:65536"),
        ("RELAY_LISTEN", "ssl://canary-17:465"),
        ("RELAY_LISTEN", "tls://canary-17"),
        ("RELAY_LISTEN", ","),
        ("RELAY_OLD_TLS", "plain://canary-17:25"),
        ("RELAY_HOST_NAME", "canary 17"),
    ],
)
def test_invalid_or_unknown_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MAILSETTINGS_{name}", value)

    with pytest.raises(SettingsInvalid, match=f"^MAILSETTINGS_{name} ") as refused:
        read()

    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


OIDC = {"OIDC_ISSUER": "https://idp.example", "OIDC_AUDIENCE": "us", "OIDC_PERMISSIONS": "a=b"}


@pytest.mark.parametrize("missing", ["OIDC_AUDIENCE", "OIDC_PERMISSIONS"])
def test_an_issuer_needs_an_audience_and_permissions(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in OIDC.items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", "" if name == missing else value)

    with pytest.raises(SettingsInvalid, match=f"^MAILSETTINGS_{missing} .* it is required"):
        read()


@pytest.mark.parametrize("prefix", ["", "RELAY_"])
@pytest.mark.parametrize("given", ["TLS_CERTIFICATE", "TLS_KEY"])
def test_a_certificate_and_its_key_go_together(monkeypatch: pytest.MonkeyPatch, given: str, prefix: str) -> None:
    monkeypatch.setenv(f"MAILSETTINGS_{prefix}{given}", "/canary.pem")

    with pytest.raises(SettingsInvalid, match=f"MAILSETTINGS_{prefix}TLS_KEY is not valid") as refused:
        read()
    assert "canary" not in str(refused.value)


def test_a_plain_listener_needs_networks_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_RELAY_LISTEN", "plain://192.0.2.1:25")

    with pytest.raises(SettingsInvalid, match="MAILSETTINGS_RELAY_PLAIN_NETWORKS"):
        read()

    monkeypatch.setenv("MAILSETTINGS_RELAY_PLAIN_NETWORKS", "192.0.2.0/24")

    assert read().relay_listen == (RelayListener(ListenerKind.PLAIN, ListenAddress("192.0.2.1", 25)),)


def test_a_claims_value_may_contain_commas_and_equals_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OIDC.items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", value)
    monkeypatch.setenv("MAILSETTINGS_OIDC_PERMISSIONS", r"CN=Mail\,OU=Groups=all, auditor = reading, auditor=all")

    pairs = read().oidc_permissions

    assert pairs == (("CN=Mail,OU=Groups", "all"), ("auditor", "reading"), ("auditor", "all"))


def test_an_invalid_ca_file_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (OIDC | {"OIDC_PERMISSIONS": "a=view-mail-settings"}).items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", value)
    garbage = tmp_path / "canary-17.pem"
    garbage.write_text("canary-17")
    for path in (garbage, tmp_path / "canary-17-missing.pem"):
        monkeypatch.setenv("MAILSETTINGS_OIDC_CA_FILE", str(path))

        with pytest.raises(SettingsInvalid, match=r"^MAILSETTINGS_OIDC_CA_FILE ") as refused:
            create_foreign_tokens(read())

        assert "canary" not in str(refused.value)


def test_an_invalid_ca_file_for_mail_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    garbage = tmp_path / "canary-17.pem"
    garbage.write_text("canary-17")
    reasons = {garbage: ".", tmp_path / "canary-17-missing.pem": ": No such file or directory."}
    for path, reason in reasons.items():
        monkeypatch.setenv("MAILSETTINGS_SMTP_CA_FILE", str(path))

        with pytest.raises(SettingsInvalid, match=r"^MAILSETTINGS_SMTP_CA_FILE ") as refused:
            create_prober(read(), EgressPolicy())

        assert str(refused.value).endswith(f"in PEM form{reason}")
        assert "canary" not in str(refused.value)


def test_secrets_in_settings_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_ADMIN_PASSWORD", "canary-17")
    monkeypatch.setenv("MAILSETTINGS_TOKEN_CLIENT_SECRET", "canary-17")
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", "postgresql://u:canary-17@h/d")

    assert "canary" not in f"{read()!r} {read()} {read().model_dump()}"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("old", "new"), sorted(RENAMED.items()))
def test_a_renamed_setting_stops_the_start_and_names_the_new(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.setenv(f"MAILSETTINGS_{old}", "1")

    with pytest.raises(SettingsInvalid) as stopped:
        read()

    assert str(stopped.value) == (f"MAILSETTINGS_{old} is now MAILSETTINGS_{new}; set MAILSETTINGS_{new} instead.")
    assert new.lower() in Settings.model_fields
    assert old.lower() not in Settings.model_fields


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "secret").write_text(f"{canary.secret}\n")
    monkeypatch.setenv("MAILSETTINGS_ADMIN_PASSWORD_FILE", str(tmp_path / "secret"))
    chosen = read()

    assert chosen.admin_password is not None
    assert chosen.admin_password.get_secret_value() == canary.secret
    (shown,) = (each for each in effective_settings(chosen, {}) if each.name == "MAILSETTINGS_ADMIN_PASSWORD")
    assert (shown.source, shown.is_set, shown.value) == ("file", True, None)
    canary.assert_nowhere(repr(chosen))


def test_a_credential_of_systemd_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "MAILSETTINGS_DATABASE_URL").write_text("postgresql://u:p@db/mail\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert read().database == "postgresql://u:p@db/mail"
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", "postgresql://u:p@other/mail")
    assert read().database == "postgresql://u:p@other/mail"


@pytest.mark.parametrize(
    ("content", "also", "problem"),
    [
        (None, None, "cannot read"),
        (b"", None, "is empty"),
        (b"\n", None, "is empty"),
        (b"\xff", None, "is not a text in UTF-8"),
        (b"x" * 70_000, None, "longer than"),
        (b"correct horse", "correct horse", "are both set"),
    ],
)
def test_an_unusable_secret_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, also: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("MAILSETTINGS_ADMIN_PASSWORD_FILE", str(tmp_path / "secret"))
    if also is not None:
        monkeypatch.setenv("MAILSETTINGS_ADMIN_PASSWORD", also)

    with pytest.raises(SettingsInvalid, match=f"MAILSETTINGS_ADMIN_PASSWORD_FILE.*{problem}"):
        read()


def test_each_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_LOG_LEVEL", "loud")
    monkeypatch.setenv("MAILSETTINGS_PORT", "0")
    with pytest.raises(SettingsInvalid) as refused:
        read()

    named = [line.partition(" ")[0] for line in str(refused.value).splitlines()]
    assert sorted(named) == ["MAILSETTINGS_LOG_LEVEL", "MAILSETTINGS_PORT"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "postgres://u:p@db/mail",
            "postgres://u:p@db/mail?mailsettings_pooler=transaction&mailsettings_pool_size=15",
        ),
        ("postgresql://db/m?sslmode=require", "postgresql://db/m?sslmode=require&mailsettings_pooler=transaction"),
        ("sqlite:////data/m.db", "sqlite:////data/m.db"),
    ],
)
def test_the_pooler_goes_with_a_url_of_postgresql(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", given)
    monkeypatch.setenv("MAILSETTINGS_DATABASE_POOLER", "transaction")

    assert read().database.startswith(expected)
