"""`mailsettings doctor`: a line for each check, what to do where it is wrong, and exit code 1."""

import json
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
import yaml
from click.testing import CliRunner

from mailsettings.cli import main
from mailsettings.cli.doctor import clock_finding
from mailsettings.cli.findings import State
from mailsettings.store import migrations

from support.canary import Canary
from support.openid_issuer import OpenIDIssuer
from support.postgres import Postgres
from support.processes import clean_environment, free_port


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with keys; its service does not run."""
    for name, value in clean_environment(tmp_path / "data", PORT=str(free_port())).items():
        monkeypatch.setenv(name, value)
    migrations.migrate(f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}")
    assert CliRunner().invoke(main, ["account", "list"]).exit_code == 0  # makes the keys
    return tmp_path / "data"


def checked(code: int) -> dict[str, Any]:
    """Each finding by its check."""
    ran = CliRunner().invoke(main, ["doctor", "-o", "yaml"])
    assert ran.exit_code == code, ran.output
    return {finding["check"]: finding for finding in yaml.safe_load(ran.stdout)}


def test_a_good_installation_has_nothing_wrong(data: Path) -> None:
    found = checked(0)

    assert {name for name, finding in found.items() if finding["state"] != "ok"} == set()
    assert set(found) == {
        *("version", "settings", "database", "encoding", "rights", "schema", "keys", "clock"),
        *("audit log", "files", "egress", "listener", "relay"),
    }
    assert "MAILSETTINGS_DATA_DIR (environment)" in found["settings"]["found"]
    assert "No program listens" in found["listener"]["found"]


def test_people_get_a_line_for_each_check(data: Path) -> None:
    (data / "mailsettings.db").chmod(0o640)
    data.chmod(0o755)
    ran = CliRunner().invoke(main, ["doctor"])

    assert ran.exit_code == 1
    assert f"wrong files       {data} is open to every user of this machine. Run: chmod 700 {data}\n" in ran.stdout


def test_an_older_schema_is_wrong_and_stays(data: Path) -> None:
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0006'")

    assert "run: mailsettings migrate" in checked(1)["schema"]["found"]


def test_a_missing_key_file_is_wrong_and_not_made(data: Path) -> None:
    (data / "sealing-keys").unlink()

    assert checked(1)["keys"]["advice"] == "Put it back."
    assert not (data / "sealing-keys").exists()


def test_wrong_settings_are_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_LOG_LEVEL", "loud")

    assert "MAILSETTINGS_LOG_LEVEL is not valid" in checked(1)["settings"]["found"]


def test_a_missing_database_is_named_and_not_made(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = data.parent / "elsewhere"
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(elsewhere))

    assert "There is no mail-settings database" in checked(1)["database"]["found"]
    assert not elsewhere.exists()


def test_another_program_on_the_port_is_reported(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0)
        monkeypatch.setenv("MAILSETTINGS_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("mailsettings.cli.checkup.checks._LISTENER_SECONDS", 0.2)
        assert "Another program listens" in checked(1)["listener"]["found"]


@pytest.mark.parametrize(("seconds", "state"), [(59, State.GOOD), (-61, State.WRONG), (3600, State.WRONG)])
def test_a_clock_may_differ_by_a_minute(seconds: float, state: State) -> None:
    assert clock_finding(seconds, "the database's").state is state


def test_issuer_webhook_and_collector_are_asked(
    data: Path, monkeypatch: pytest.MonkeyPatch, issuer: OpenIDIssuer, canary: Canary
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as collector:
        settings = {
            "OIDC_ISSUER": issuer.url,
            "OIDC_AUDIENCE": "us",
            "OIDC_PERMISSIONS": "admin=manage-system-settings",
            "MONITORING_INTERVAL": "15m",
            "WEBHOOK_URL": f"http://127.0.0.1:1/{canary.secret[:12]}",
            "WEBHOOK_SECRET": "x" * 32,
            "SMTP_ALLOWED_NETWORKS": "127.0.0.0/8",
            "OTLP_ENDPOINT": f"http://127.0.0.1:{collector.getsockname()[1]}",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"MAILSETTINGS_{name}", value)
        found = checked(1)
        issuer.described = {"issuer": f"{issuer.url}/"}
        changed = checked(1)["issuer"]

    assert found["issuer"] == {
        "check": "issuer",
        "state": "ok",
        "found": f"{issuer.url} publishes 1 usable keys.",
        "advice": None,
    }
    assert found["webhook"]["found"] == "It cannot be reached: the connection failed: refused."
    assert found["webhook"]["state"] == "wrong"
    assert found["collector"]["state"] == "ok"
    assert "differs by a final slash alone" in changed["found"]


def test_missing_rights_in_postgresql_are_listed(
    data: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres, postgres_url: str
) -> None:
    postgres.execute("CREATE ROLE role_of_doctor LOGIN")
    monkeypatch.setenv("MAILSETTINGS_DATABASE_URL", postgres_url.replace("postgres@", "role_of_doctor@"))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO role_of_doctor")
        connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO role_of_doctor")
        enough = checked(0)
        connection.execute("REVOKE DELETE ON accounts FROM role_of_doctor")
        lacking = checked(1)
        connection.execute("DROP OWNED BY role_of_doctor")
    postgres.execute("DROP ROLE role_of_doctor")

    assert enough["encoding"]["found"] == "UTF8."
    assert enough["rights"]["state"] == "note"
    assert "cannot migrate" in enough["rights"]["found"]
    assert lacking["rights"]["found"] == "The role lacks DELETE on accounts."


def test_the_listener_of_metrics_is_looked_at(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_METRICS_LISTEN", f"127.0.0.1:{free_port()}")

    assert "No program listens" in checked(0)["metrics"]["found"]


def test_running_relays_and_their_listeners_are_listed(data: Path) -> None:
    listeners = {"listeners": [{"listener": "starttls://192.0.2.1:587", "old_tls": False}], "certificate": None}
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("INSERT INTO relays VALUES ('a:1', ?, 4e9)", [json.dumps(listeners)])

    assert checked(0)["relay"]["found"] == "1 running, on starttls://192.0.2.1:587."


def test_a_taken_address_of_the_relay_is_wrong(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MAILSETTINGS_RELAY_LISTEN", f"starttls://{address}")
        found = checked(1)["relay"]

    assert found["state"] == "wrong"
    assert f"Cannot listen on {address}" in found["found"]


@pytest.mark.parametrize(("left", "state"), [(timedelta(days=40), "ok"), (timedelta(days=3), "wrong")])
def test_the_relays_certificate_is_checked_for_its_end(
    data: Path, monkeypatch: pytest.MonkeyPatch, left: timedelta, state: str
) -> None:
    pair = trustme.CA().issue_cert("relay.example.com", not_after=datetime.now(UTC) + left)
    for name, content in (("CERTIFICATE", pair.cert_chain_pems[0]), ("KEY", pair.private_key_pem)):
        content.write_to_path(str(data / name))
        monkeypatch.setenv(f"MAILSETTINGS_RELAY_TLS_{name}", str(data / name))

    assert checked(0 if state == "ok" else 1)["certificate"]["state"] == state
