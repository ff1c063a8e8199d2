"""The default mail server is chosen, never the first by chance; and it is always enabled."""

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Precondition, Replacement, StateTags
from mailsettings.domain.errors import (
    DefaultMailServerInUse,
    MailServerDisabled,
    MailServerNotFound,
    PreconditionFailed,
)
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.databases import LocalStore, records


def wanted(host: str, name: str | None = None) -> Replacement:
    return Replacement(MailServer(host, 25, ConnectionSecurity.NONE, Sender("a@example.org")), name=name)


@pytest.fixture
def keep(local_store: LocalStore) -> ManageMailServers:
    return ManageMailServers(local_store)


async def default_of(keep: ManageMailServers) -> str | None:
    try:
        return (await keep.get_default(OPERATOR)).name
    except MailServerNotFound:
        return None


async def test_a_created_server_never_becomes_the_default(keep: ManageMailServers) -> None:
    await keep.create(OPERATOR, wanted("a.example.org"))

    assert await default_of(keep) is None


async def test_a_choice_replaces_the_default_and_is_audited(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    for name in ("one", "two"):
        await keep.create(OPERATOR, wanted("a.example.org", name))
    seen = []
    for name in ("one", "two"):
        await keep.set_default(OPERATOR, name)
        seen.append(await default_of(keep))
    await keep.clear_default(OPERATOR)

    assert seen == ["one", "two"]
    assert await default_of(keep) is None
    assert [(one.action, one.target, one.details) for one in (await records(local_store))[2:]] == [
        ("mail-server.set-default", "mail-server:1", {"default": {"before": None, "after": 1}}),
        ("mail-server.set-default", "mail-server:2", {"default": {"before": 1, "after": 2}}),
        ("mail-server.clear-default", "mail-server:2", {"default": {"before": 2, "after": None}}),
    ]


async def test_a_choice_makes_no_version_but_another_tag(keep: ManageMailServers) -> None:
    """An API that shows which server is the default shows something else after the choice."""
    await keep.create(OPERATOR, wanted("a.example.org", "one"))
    before = await keep.get(OPERATOR, "one")
    await keep.set_default(OPERATOR, "one")
    chosen = await keep.get(OPERATOR, "one")
    await keep.set_default(OPERATOR, "one")

    assert chosen.state == before.state
    assert chosen.tag != before.tag
    assert (await keep.get(OPERATOR, "one")).tag == chosen.tag


async def test_the_default_is_neither_disabled_nor_deleted(keep: ManageMailServers) -> None:
    await keep.put_default(OPERATOR, wanted("a.example.org", "one"))

    with pytest.raises(DefaultMailServerInUse):
        await keep.set_enabled(OPERATOR, "one", enabled=False)
    with pytest.raises(DefaultMailServerInUse):
        await keep.replace(OPERATOR, 1, Replacement(wanted("b.example.org").server, enabled=False))
    with pytest.raises(DefaultMailServerInUse):
        await keep.delete(OPERATOR, "one")

    assert (await keep.get(OPERATOR, "one")).version == 1
    await keep.clear_default(OPERATOR)
    await keep.delete(OPERATOR, "one")


async def test_a_changed_default_fails_its_precondition_first(keep: ManageMailServers) -> None:
    await keep.put_default(OPERATOR, wanted("a.example.org"))

    with pytest.raises(PreconditionFailed):
        await keep.delete(OPERATOR, 1, Precondition(one_of=StateTags(frozenset({"1.7"}))))


async def test_a_disabled_server_cannot_become_the_default(keep: ManageMailServers) -> None:
    await keep.create(OPERATOR, Replacement(wanted("a.example.org").server, enabled=False))

    with pytest.raises(MailServerDisabled):
        await keep.set_default(OPERATOR, 1)
    await keep.set_enabled(OPERATOR, 1, enabled=True)
    await keep.set_default(OPERATOR, 1)

    assert await default_of(keep) == "a-example-org"


async def test_put_replaces_a_chosen_server_and_keeps_its_name(keep: ManageMailServers) -> None:
    await keep.create(OPERATOR, wanted("a.example.org", "one"))
    await keep.set_default(OPERATOR, 1)
    await keep.put_default(OPERATOR, wanted("b.example.org"))

    stored = await keep.get_default(OPERATOR)
    assert (stored.id, stored.name, stored.server.host) == (1, "one", "b.example.org")


async def test_a_deleted_default_is_restored_as_the_default(
    keep: ManageMailServers, local_store: LocalStore
) -> None:
    await keep.put_default(OPERATOR, wanted("a.example.org"))
    await keep.delete_default(OPERATOR)
    await MailServerHistory(local_store).restore(OPERATOR, None, None)

    with pytest.raises(DefaultMailServerInUse):
        await keep.delete(OPERATOR, 1)
