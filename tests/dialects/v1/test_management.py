"""The audit log, keys, settings, monitoring, versions and presets over `/v1`."""

import json

import pytest

from mailsettings import __version__
from mailsettings.domain.access import OPERATOR, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.monitoring import Health
from mailsettings.domain.presets import PRESETS
from mailsettings.store import migrations
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.keys import PREFIX

from support.service import Caller


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def write(store: SQLStore, *entries: tuple[str, Action, AuditOutcome]) -> None:
    for actor, action, outcome in entries:
        async with store.writing() as work:
            await work.audit.append(AuditRecord(actor, Origin(), action, None, outcome))


async def test_the_audit_log_comes_newest_first_in_pages(api: Caller, store: SQLStore) -> None:
    await write(store, *[("alice", Action.LOGIN, AuditOutcome.DONE)] * 4)
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        page = (await api.send("GET", f"/v1/audit-log?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [each["sequence"] for each in page["items"]]
        cursor = page["next_cursor"]

    assert seen == [5, 4, 3, 2, 1]


async def test_filters_of_the_audit_log_combine(api: Caller, store: SQLStore) -> None:
    await write(
        store,
        ("alice", Action.LOGIN, AuditOutcome.DONE),
        ("bob", Action.LOGIN, AuditOutcome.REFUSED),
        ("bob", Action.BACKUP_MAKE, AuditOutcome.REFUSED),
    )
    wanted = "actor=bob&action=login&outcome=refused&since=2020-01-01&until=9999-01-01T00:00:00%2B02:00"
    found = (await api.send("GET", f"/v1/audit-log?{wanted}")).json()["items"]
    later = (await api.send("GET", "/v1/audit-log?since=9999-01-01")).json()["items"]

    assert [(each["actor"], each["action"], each["outcome"]) for each in found] == [("bob", "login", "refused")]
    assert later == []


async def test_a_malformed_filter_is_named(api: Caller) -> None:
    answer = await api.send("GET", "/v1/audit-log?since=yesterday&outcome=maybe&who=me")

    assert answer.status_code == 400
    assert {each["parameter"] for each in answer.json()["errors"]} == {"since", "outcome", "who"}


async def test_the_audit_log_is_verified_with_its_last_entry(api: Caller, store: SQLStore) -> None:
    await write(store, ("alice", Action.LOGIN, AuditOutcome.DONE))
    found = (await api("auditor").send("POST", "/v1/audit-log/verify")).json()

    assert (found["intact"], found["problem"], found["entries"]) == (True, None, 2)
    assert found["last"].startswith("2:")


async def test_signing_keys_rotate_and_old_keys_are_deleted(api: Caller) -> None:
    [first] = (await api.send("POST", "/v1/signing-keys/rotate")).json()["items"]
    older, newer = (await api.send("POST", "/v1/signing-keys/rotate")).json()["items"]
    in_use = await api.send("DELETE", f"/v1/signing-keys/{newer['id']}")
    deleted = await api.send("DELETE", f"/v1/signing-keys/{older['id']}")
    again = await api.send("DELETE", f"/v1/signing-keys/{older['id']}")

    assert older["id"] == first["id"]
    assert [older["current"], newer["current"]] == [False, True]
    assert (in_use.status_code, in_use.json()["code"]) == (409, "key_refused")
    assert deleted.status_code == 204
    assert (again.status_code, again.json()["code"]) == (404, "signing_key_not_found")
    assert (await api.send("GET", "/v1/signing-keys")).json()["items"] == [newer]


async def test_no_key_itself_is_shown(api: Caller, store: SQLStore) -> None:
    await api.send("POST", "/v1/signing-keys/rotate")
    async with store.reading() as view:
        [(_, text)] = await view.service_keys.named(PREFIX)
    answers = [await api.send("GET", path) for path in ("/v1/signing-keys", "/v1/encryption-keys")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not [answer for answer in answers if text in answer.text]


async def test_encryption_keys_count_their_secrets(api: Caller) -> None:
    [key] = (await api.send("GET", "/v1/encryption-keys")).json()["items"]

    assert (key["current"], key["available"]) == (True, True)
    assert key["secrets"] >= 1


async def test_resealing_reports_its_progress_as_events(api: Caller) -> None:
    """HTML standard, 9.2: each event is an `event` line, a `data` line and an empty line."""
    answer = await api.send("POST", "/v1/encryption-keys/reseal", headers={"Accept": "text/event-stream"})
    events = [each.partition("\n") for each in answer.text.strip().split("\n\n")]

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert {name for name, _, _ in events[:-1]} == {"event: progress"}
    assert events[-1][0] == "event: done"
    assert json.loads(events[-1][2].removeprefix("data: ")) == {
        "resealed": 0,
        "unreadable": [],
        "unmarked_key_file": None,
    }


async def test_versions_name_the_database_for_every_caller(api: Caller) -> None:
    found = (await api("stranger").send("GET", "/v1/version")).json()

    assert found["version"] == __version__
    assert found["database"]["kind"] == "sqlite"
    assert found["database"]["schema_revision"] == migrations.head()


async def test_settings_are_for_callers_who_manage_them(api: Caller) -> None:
    refused = await api("reader").send("GET", "/v1/settings")
    found = {each["name"]: each for each in (await api.send("GET", "/v1/settings")).json()["items"]}

    assert refused.status_code == 403
    assert found["MAILSETTINGS_PORT"] == {
        "name": "MAILSETTINGS_PORT",
        "value": 8080,
        "secret": False,
        "is_set": True,
        "source": "default",
        "description": "The port that serve listens on; its option --port wins.",
    }
    assert (found["MAILSETTINGS_ADMIN_PASSWORD"]["value"], found["MAILSETTINGS_ADMIN_PASSWORD"]["secret"]) == (
        None,
        True,
    )


async def test_monitoring_reports_itself(api: Caller) -> None:
    found = (await api("reader").send("GET", "/v1/monitoring")).json()

    assert found == {
        "enabled": False,
        "interval_seconds": None,
        "leader": None,
        "last_check_at": None,
        "mail_servers": {health.value: 0 for health in Health},
        "first_certificate_expires_at": None,
        "first_secret_expires_on": None,
        "deliveries": {"webhook": False, "waiting": 0, "failed": 0},
    }
    assert (await api("reader").send("GET", "/v1/monitoring/deliveries")).json()["items"] == []


async def test_a_preset_has_a_body_with_named_blanks(api: Caller) -> None:
    listed = (await api("stranger").send("GET", "/v1/presets")).json()["items"]
    ses = (await api("stranger").send("GET", "/v1/presets/amazon-ses")).json()
    unknown = await api("stranger").send("GET", "/v1/presets/nothing")

    assert [each["name"] for each in listed] == [preset.name for preset in PRESETS]
    assert ses["mail_server"]["host"] == "email-smtp.{region}.amazonaws.com"
    assert ses["mail_server"]["authentication"] == {
        "kind": "password",
        "username": "{username}",
        "password": "{password}",
    }
    assert {blank["name"] for blank in ses["blanks"]} == {"sender", "region", "username", "password"}
    assert [blank["name"] for blank in ses["blanks"] if blank["secret"]] == ["password"]
    assert ses["sources"][0]["url"].startswith("https://docs.aws.amazon.com/ses/")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "preset_not_found")


async def test_each_operation_needs_its_permission(api: Caller) -> None:
    for path, token in (
        ("/v1/audit-log", "reader"),
        ("/v1/signing-keys", "auditor"),
        ("/v1/encryption-keys", "auditor"),
        ("/v1/monitoring", "auditor"),
        ("/v1/accounts", "reader"),
    ):
        assert (await api(token).send("GET", path)).status_code == 403, path
    assert OPERATOR.permissions
