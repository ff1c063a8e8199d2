"""Commands follow the rules that the service of their data directory was started with."""

from pathlib import Path

import httpx
import pytest

from mailsettings.cli.running import DEV_MARK_FILE, mark_dev_mode, read_settings
from mailsettings.settings import Settings

from support import commands
from support.processes import clean_environment, free_port, serving
from support.request_bodies import oracle

MAIL_SERVER = "/api/20210901/system/mail/server"


def run(environment: dict[str, str], *arguments: str) -> str:
    ran = commands.run(environment, *arguments)
    return ran.stdout + ran.stderr


def test_command_and_service_agree_whatever_the_start_options(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "data")
    server = oracle("correct horse") | {"host": "127.0.0.1", "port": free_port()}
    with serving(environment, "--dev") as (url, _):
        token = run(environment, "token", "--permission", "manage-system-settings").strip()
        bearer = {"Authorization": f"Bearer {token}"}
        assert httpx.put(url + MAIL_SERVER, json=server, headers=bearer).status_code == 200
        served = httpx.post(f"{url}{MAIL_SERVER}/actions/test", headers=bearer).json()["message"]
        while_it_runs = run(environment, "server", "test")
    after_it_ended = run(environment, "server", "test")
    with serving(environment) as (url, _):
        refused = httpx.post(f"{url}{MAIL_SERVER}/actions/test", headers=bearer).json()["message"]
        without_dev = run(environment, "server", "test")

    assert "Connecting failed" in served
    assert "127.0.0.1 refused" in while_it_runs
    assert "127.0.0.1 refused" in after_it_ended
    assert "port" in refused
    assert "not use this port" in without_dev


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MAILSETTINGS_DEV", "")  # so that what a command chooses is undone
    monkeypatch.delenv("MAILSETTINGS_DEV")
    return Settings()


def test_the_mark_comes_and_goes_with_each_start(tmp_path: Path, chosen: Settings) -> None:
    assert not read_settings().dev
    mark_dev_mode(chosen.model_copy(update={"dev": True}))
    assert (tmp_path / DEV_MARK_FILE).exists()
    mark_dev_mode(chosen)
    mark_dev_mode(chosen)

    assert not (tmp_path / DEV_MARK_FILE).exists()
    assert not read_settings().dev


def test_the_setting_wins_over_the_mark(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_dev_mode(chosen.model_copy(update={"dev": True}))
    monkeypatch.setenv("MAILSETTINGS_DEV", "false")
    assert not read_settings().dev
    monkeypatch.delenv("MAILSETTINGS_DEV")

    assert read_settings().dev


def test_no_data_directory_is_made_for_the_mark(tmp_path: Path, chosen: Settings) -> None:
    mark_dev_mode(chosen.model_copy(update={"dev": True, "data_dir": tmp_path / "none"}))

    assert not (tmp_path / "none").exists()


def test_a_mark_that_cannot_be_left_is_logged(
    tmp_path: Path, chosen: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / DEV_MARK_FILE).mkdir()
    mark_dev_mode(chosen.model_copy(update={"dev": True}))

    assert "commands may not follow --dev" in caplog.text
