"""Names, descriptions, labels and the enabled state of mail servers: who may have which, and what a list finds."""

from dataclasses import replace
from typing import Any

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.errors import InvalidSetting, MailServerDisabled, MailServerNotFound, NameTaken
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.mail_server_list import LabelFilter, MailServerFilter
from mailsettings.domain.monitoring import Health
from mailsettings.domain.setting import Setting
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.databases import LocalStore, records
from support.fakes import ScriptedProber

SERVER = MailServer("smtp.example.com", 25, ConnectionSecurity.NONE, Sender("a@example.org"))


@pytest.fixture
def keep(local_store: LocalStore) -> ManageMailServers:
    return ManageMailServers(local_store)


async def test_a_server_without_a_name_gets_one_of_its_host(keep: ManageMailServers) -> None:
    for _ in range(2):
        await keep.create(OPERATOR, Replacement(SERVER))

    assert [one.stored.name for one in await keep.list(OPERATOR)] == ["smtp-example-com", "smtp-example-com-2"]


async def test_a_taken_name_is_refused_by_its_setting(keep: ManageMailServers) -> None:
    await keep.create(OPERATOR, Replacement(SERVER, name="one"))
    await keep.create(OPERATOR, Replacement(SERVER, name="two"))

    with pytest.raises(NameTaken) as creating:
        await keep.create(OPERATOR, Replacement(SERVER, name="one"))
    with pytest.raises(NameTaken):
        await keep.replace(OPERATOR, "two", Replacement(SERVER, name="one"))

    assert creating.value.setting is Setting.NAME
    assert [one.stored.name for one in await keep.list(OPERATOR)] == ["one", "two"]


async def test_a_name_with_an_id_belongs_to_that_id(keep: ManageMailServers) -> None:
    await keep.create(OPERATOR, Replacement(SERVER, name="one"))

    with pytest.raises(InvalidSetting):
        await keep.create(OPERATOR, Replacement(SERVER, name="server-2"))
    with pytest.raises(InvalidSetting):
        await keep.replace(OPERATOR, 1, Replacement(SERVER, name="server-2"))
    await keep.replace(OPERATOR, 1, Replacement(SERVER, name="server-1"))

    assert (await keep.get(OPERATOR, "server-1")).id == 1


async def test_a_change_that_does_not_say_them_keeps_name_and_state(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    await keep.create(OPERATOR, Replacement(SERVER, name="one", enabled=False))
    await keep.replace(OPERATOR, "one", Replacement(replace(SERVER, port=26)))
    await keep.replace(OPERATOR, "one", Replacement(SERVER, name="two", enabled=True))

    stored = await keep.get(OPERATOR, "two")
    assert (stored.version, stored.enabled) == (3, True)
    details: list[Any] = [one.details for one in await records(local_store)]
    assert details[0]["name"] == {"before": None, "after": "one"}
    assert set(details[1]) == {"port"}
    assert details[2] == {
        "port": {"before": 26, "after": 25},
        "name": {"before": "one", "after": "two"},
        "enabled": {"before": False, "after": True},
    }


async def test_description_and_labels_are_settings_of_the_history(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    history = MailServerHistory(local_store)
    noted = replace(SERVER, description="for\nBerlin", labels={"team": "mail"})
    await keep.create(OPERATOR, Replacement(noted, name="one"))
    await keep.replace(OPERATOR, "one", Replacement(SERVER))
    await keep.replace(OPERATOR, "one", Replacement(SERVER, name="two"))
    await keep.set_enabled(OPERATOR, "two", enabled=False)

    restored = await history.restore(OPERATOR, "two", None)

    assert (restored.server, restored.name, restored.enabled) == (noted, "two", False)
    versions = await history.versions(OPERATOR, "two")
    assert [(one.given_name, one.enabled) for one in versions] == [
        *(("two", False), ("two", False), ("two", True), ("one", True), ("one", True))
    ]
    assert (await records(local_store))[1].details["labels"] == {"before": {"team": "mail"}, "after": None}


async def test_a_deleted_server_is_restored_by_the_name_it_had(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    history = MailServerHistory(local_store)
    await keep.create(OPERATOR, Replacement(SERVER, name="one", enabled=False))
    await keep.delete(OPERATOR, "one")
    first = await history.restore(OPERATOR, "one", None)
    await keep.delete(OPERATOR, "one")
    await keep.create(OPERATOR, Replacement(SERVER, name="one"))
    second = await history.restore(OPERATOR, 1, None)

    assert (first.id, first.name, first.enabled) == (1, "one", False)
    assert (second.id, second.name) == (1, "one-2")


async def test_a_disabled_server_is_not_tested_until_enabled(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    prober = ScriptedProber()
    probes = RunConnectionTests(local_store, prober, ConnectionTestLimits(), DenialLog(local_store))
    await keep.create(OPERATOR, Replacement(SERVER, name="one"))
    await keep.set_enabled(OPERATOR, "one", enabled=False)

    with pytest.raises(MailServerDisabled):
        await probes.stored(OPERATOR, "one", None)
    asked = len(prober.asked)
    await keep.set_enabled(OPERATOR, "one", enabled=True)
    await probes.stored(OPERATOR, "one", None)

    assert (asked, len(prober.asked)) == (0, 1)
    actions = [(one.action, one.outcome) for one in await records(local_store)]
    assert actions[1:3] == [("mail-server.disable", "done"), ("mail-server.test", "refused")]
    assert actions[3] == ("mail-server.enable", "done")


async def test_enabling_an_enabled_server_changes_nothing(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    await keep.create(OPERATOR, Replacement(SERVER, name="one"))
    await keep.set_enabled(OPERATOR, "one", enabled=True)

    assert len(await MailServerHistory(local_store).versions(OPERATOR, "one")) == 1


async def test_an_unknown_name_is_not_found(keep: ManageMailServers, local_store: LocalStore) -> None:
    for ref in ("one", "a mistyped password"):
        with pytest.raises(MailServerNotFound):
            await keep.delete(OPERATOR, ref)
    targets = [one.target for one in await records(local_store)]

    assert targets == ["mail-server:one", "mail-server"]
    with pytest.raises(MailServerNotFound):
        await keep.get(OPERATOR, "one")
    with pytest.raises(MailServerNotFound):
        await MailServerHistory(local_store).restore(OPERATOR, "one", None)


FILTERS = {
    "name": (MailServerFilter(name_part="li"), ["berlin", "oslo-li"]),
    "wildcard": (MailServerFilter(name_part="_"), []),
    "label key": (MailServerFilter(labels=[LabelFilter.parse("team")]), ["berlin", "oslo-li"]),
    "label": (MailServerFilter(labels=[LabelFilter.parse("team=mail")]), ["berlin"]),
    "case of a label": (MailServerFilter(labels=[LabelFilter.parse("team=Mail")]), ["oslo-li"]),
    "label without value": (MailServerFilter(labels=[LabelFilter.parse("old=")]), ["oslo-li"]),
    "text of a label": (MailServerFilter(labels=[LabelFilter.parse("x")]), []),
    "two labels": (MailServerFilter(labels=[LabelFilter("team"), LabelFilter("old")]), ["oslo-li"]),
    "enabled": (MailServerFilter(enabled=True), ["berlin", "paris"]),
    "disabled": (MailServerFilter(enabled=False), ["oslo-li"]),
    "health": (MailServerFilter(health=Health.DISABLED), ["oslo-li"]),
    "two conditions": (MailServerFilter(name_part="li", health=Health.UNCHECKED), ["berlin"]),
}


async def test_a_list_has_what_meets_every_condition(store: SQLStore) -> None:
    keep = ManageMailServers(store)
    labels = {"berlin": {"team": "mail"}, "oslo-li": {"team": "Mail", "old": "", "note": '"x":"y",'}, "paris": {}}
    for name, own in labels.items():
        wanted = Replacement(replace(SERVER, labels=own), name=name, enabled=name != "oslo-li")
        await keep.create(OPERATOR, wanted)

    found = {
        name: [one.stored.name for one in await keep.list(OPERATOR, filtered)]
        for name, (filtered, _) in FILTERS.items()
    }
    pages = [[one.stored.id for one in await keep.list(OPERATOR, after=after, limit=2)] for after in (0, 2, 3)]

    assert found == {name: expected for name, (_, expected) in FILTERS.items()}
    assert pages == [[1, 2], [3], []]
    assert [one.monitored.health for one in await keep.list(OPERATOR)] == [
        *(Health.UNCHECKED, Health.DISABLED, Health.UNCHECKED)
    ]
