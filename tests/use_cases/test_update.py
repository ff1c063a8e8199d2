"""Changing part of a mail server: in one transaction, under the rule about secrets."""

from dataclasses import replace

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.errors import SecretNeededAgain
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.mail_servers import ManageMailServers

LOGIN = PasswordAuthentication("mailer", Secret("the stored one"))
SERVER = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org", "A"), LOGIN)


@pytest.fixture
def kind() -> str:
    """One database is enough here: the rule is the same on both."""
    return "sqlite"


def renamed(stored: StoredMailServer) -> Replacement:
    """Change the name of the sender, and nothing else."""
    return Replacement(
        replace(stored.server, sender=replace(stored.server.sender, display_name="B")), SecretInput.OMITTED
    )


def moved(stored: StoredMailServer) -> Replacement:
    """Change the host, and send no secret."""
    server = replace(stored.server.with_secret(None), host="other.example.org")
    return Replacement(server, SecretInput.OMITTED)


async def test_update_changes_one_setting_and_keeps_the_secret(store: SQLStore) -> None:
    servers = ManageMailServers(store)
    server_id = await servers.create(OPERATOR, Replacement(SERVER))

    await servers.update(OPERATOR, server_id, renamed)

    found = await servers.get(OPERATOR, server_id)
    assert found.version == 2
    assert replace(SERVER, sender=Sender("a@example.org", "B")) == found.server


async def test_update_lends_the_secret_to_no_other_host(store: SQLStore) -> None:
    servers = ManageMailServers(store)
    server_id = await servers.create(OPERATOR, Replacement(SERVER))

    with pytest.raises(SecretNeededAgain):
        await servers.update(OPERATOR, server_id, moved)

    assert (await servers.get(OPERATOR, server_id)).server == SERVER
