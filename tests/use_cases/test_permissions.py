"""Every use case asks for its permission before it does anything."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal
from mailsettings.domain.change import Replacement
from mailsettings.domain.errors import PermissionDenied
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.databases import LocalStore, stored_in
from support.fakes import ScriptedProber

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
WANTED = Replacement(SERVER)

USE_CASES: dict[
    str, tuple[Permission, Callable[[ManageMailServers, RunConnectionTests, Principal], Awaitable[Any]]]
] = {
    "list": (Permission.MAIL_SERVERS_READ, lambda keep, _, who: keep.page(who)),
    "get": (Permission.MAIL_SERVERS_READ, lambda keep, _, who: keep.get(who, 1)),
    "get default": (Permission.MAIL_SERVERS_READ, lambda keep, _, who: keep.get_default(who)),
    "create": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.create(who, WANTED)),
    "replace": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.replace(who, 1, WANTED)),
    "put default": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.put_default(who, WANTED)),
    "delete": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.delete(who, 1)),
    "overview": (Permission.MAIL_SERVERS_READ, lambda keep, _, who: keep.list(who)),
    "disable": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.set_enabled(who, 1, enabled=False)),
    "set default": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.set_default(who, 1)),
    "clear default": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.clear_default(who)),
    "delete default": (Permission.MAIL_SERVERS_WRITE, lambda keep, _, who: keep.delete_default(who)),
    "test given": (Permission.MAIL_SERVERS_TEST, lambda _, probe, who: probe.given(who, SERVER, None)),
    "test stored": (Permission.MAIL_SERVERS_TEST, lambda _, probe, who: probe.stored(who, 1, None)),
}


@pytest.mark.parametrize("name", USE_CASES)
async def test_without_its_permission_a_use_case_touches_nothing(name: str, local_store: LocalStore) -> None:
    permission, use = USE_CASES[name]
    store, prober = local_store, ScriptedProber()
    keep = ManageMailServers(store)
    await keep.create(OPERATOR, WANTED)
    everything_else = Principal("almost", frozenset(Permission) - {permission})

    with pytest.raises(PermissionDenied, match=permission):
        await use(
            keep, RunConnectionTests(store, prober, ConnectionTestLimits(), DenialLog(store)), everything_else
        )

    assert [stored.version for stored in await stored_in(store)] == [1]
    assert prober.asked == []


@pytest.mark.parametrize("server_id", [1, "mail-example-org", None], ids=["by id", "by name", "the default"])
async def test_a_stored_server_is_tested_with_its_secret(
    server_id: int | str | None, local_store: LocalStore
) -> None:
    """By a caller who may test, and neither read nor change."""
    store, prober = local_store, ScriptedProber()
    await ManageMailServers(store).put_default(OPERATOR, WANTED)

    report = await RunConnectionTests(store, prober, ConnectionTestLimits(), DenialLog(store)).stored(
        Principal("tester", frozenset({Permission.MAIL_SERVERS_TEST})), server_id, "to@example.org"
    )

    assert report.succeeded
    assert prober.asked == [(SERVER, "to@example.org")]
