"""How a version of a mail server changed the secret of the previous version."""

from dataclasses import replace

import pytest

from mailsettings.domain.change import MailServerVersion, secret_change
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    PasswordAuthentication,
    Revision,
    Sender,
)
from mailsettings.domain.values import Secret

STORED = Secret("canary-1")
LOGIN = PasswordAuthentication("scans", STORED)
SERVER = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"), LOGIN)
WITHOUT = SERVER.with_secret(None)


def version(number: int, server: MailServer | None) -> MailServerVersion:
    return MailServerVersion(1, number, server, Revision(), was_default=True)


@pytest.mark.parametrize(
    ("before", "now", "word"),
    [
        (WITHOUT, SERVER, "set"),
        (None, SERVER, "set"),
        (SERVER, SERVER.with_secret(Secret("canary-2")), "replaced"),
        (SERVER, replace(SERVER, port=25), "kept"),
        (SERVER, WITHOUT, "removed"),
        (SERVER, None, "removed"),
        (WITHOUT, WITHOUT, None),
        (WITHOUT, None, None),
    ],
)
def test_each_change_of_a_secret_has_a_word(
    before: MailServer | None, now: MailServer | None, word: str | None
) -> None:
    assert secret_change(version(5, now), version(4, before)) == word


def test_sending_the_same_secret_again_counts_as_replaced() -> None:
    again = SERVER.with_secret(Secret("canary-1"))

    assert secret_change(version(2, again), version(1, SERVER)) == "replaced"


def test_without_the_previous_version_only_version_1_is_described() -> None:
    assert secret_change(version(1, SERVER), None) == "set"
    assert secret_change(version(1, WITHOUT), None) is None
    assert secret_change(version(7, SERVER), None) is None
