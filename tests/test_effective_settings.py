"""The effective settings: every setting with its value and its source, and no secret."""

import json
import os
from urllib.parse import quote

import pytest

from mailsettings import settings
from mailsettings.domain.service import EffectiveSetting, SettingSource
from mailsettings.settings import Settings, effective_settings

from support.canary import Canary


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `override` change a copy of the environment."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


def effective(**shown: str) -> dict[str, EffectiveSetting]:
    return {each.name: each for each in effective_settings(settings.read(), shown)}


def test_every_setting_is_listed_with_a_sentence() -> None:
    found = effective()

    assert list(found) == [f"MAILSETTINGS_{name.upper()}" for name in Settings.model_fields]
    assert not [each.name for each in found.values() if not each.description or "](" in each.description]


def test_each_source_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ["MAILSETTINGS_LOG_LEVEL"] = "debug"
    settings.override(port=9000, host=None)
    settings.override(SettingSource.FILE, dev=True)
    found = effective()

    assert found["MAILSETTINGS_LOG_LEVEL"].source == "environment"
    assert (found["MAILSETTINGS_PORT"].source, found["MAILSETTINGS_PORT"].value) == ("option", 9000)
    assert (found["MAILSETTINGS_DEV"].source, found["MAILSETTINGS_DEV"].value) == ("file", True)
    assert (found["MAILSETTINGS_HOST"].source, found["MAILSETTINGS_HOST"].value) == ("default", "127.0.0.1")


def test_values_keep_their_kinds_of_json() -> None:
    os.environ["MAILSETTINGS_SMTP_ALLOWED_NETWORKS"] = "192.0.2.0/24, 2001:db8::/32"
    os.environ["MAILSETTINGS_MONITORING_INTERVAL"] = "15m"
    found = effective()

    assert found["MAILSETTINGS_SMTP_ALLOWED_NETWORKS"].value == ["192.0.2.0/24", "2001:db8::/32"]
    assert found["MAILSETTINGS_MONITORING_INTERVAL"].value == 900
    assert found["MAILSETTINGS_PUBLIC_URL"].value is None
    assert json.dumps([each.value for each in found.values()])


def test_secrets_are_left_out_and_said_to_be_set(canary: Canary) -> None:
    secret = str(canary)
    os.environ["MAILSETTINGS_ADMIN_PASSWORD"] = secret
    os.environ["MAILSETTINGS_MONITORING_INTERVAL"] = "15m"
    os.environ["MAILSETTINGS_WEBHOOK_URL"] = f"https://example.com/{quote(secret, safe='')}"
    os.environ["MAILSETTINGS_WEBHOOK_SECRET"] = secret
    os.environ["MAILSETTINGS_DATABASE_URL"] = f"postgresql://user:{secret}@db.example.com/mail"
    found = effective(database_url="named mail at db.example.com")
    hidden = {each.name: each.is_set for each in found.values() if each.is_secret}

    assert hidden == {
        "MAILSETTINGS_ADMIN_PASSWORD": True,
        "MAILSETTINGS_WEBHOOK_SECRET": True,
        "MAILSETTINGS_WEBHOOK_URL": True,
        "MAILSETTINGS_TOKEN_CLIENT_SECRET": False,
        "MAILSETTINGS_OUTGOING_PROXY": False,
    }
    assert found["MAILSETTINGS_DATABASE_URL"].value == "named mail at db.example.com"
    canary.assert_nowhere(repr(found))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pa@ss/wo?rd@login.example.com/x", "https://login.example.com/x"),
        ("https://login.example.com/x", "https://login.example.com/x"),
    ],
)
def test_urls_lose_user_name_and_password(url: str, shown: str) -> None:
    chosen = Settings.model_construct(oauth2_authority=url)
    [found] = [each for each in effective_settings(chosen, {}) if each.name == "MAILSETTINGS_OAUTH2_AUTHORITY"]

    assert found.value == shown
