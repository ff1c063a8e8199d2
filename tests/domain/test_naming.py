"""The rules for names, descriptions and labels."""

from typing import Any

import pytest

from mailsettings.domain.errors import InvalidSetting, MailServerNotFound
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.naming import mail_server_ref, name_from_host, names_to_try, require_server_name
from mailsettings.domain.setting import Setting


@pytest.mark.parametrize("name", ["a", "relay", "1a", "a-1", "a--b", "xn--p1ai", "a" * 63, "server-7", "web-1"])
def test_a_slug_with_a_letter_is_a_name(name: str) -> None:
    require_server_name(name, 7)


@pytest.mark.parametrize(
    "name",
    [
        *("", "7", "1-2", "-a", "a-", "A", "a.b", "a b", "a_b", "ä", "a\n", "a/b", "a" * 64),
        *("default", "test", "versions", "new", "all", "none", "server-8", "server-07"),
    ],
)
def test_anything_else_is_refused_by_its_setting(name: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        require_server_name(name, 7)

    assert refused.value.setting is Setting.NAME
    assert name == "" or len(name) == 1 or name not in str(refused.value)


@pytest.mark.parametrize(("text", "ref"), [("7", 7), ("relay", "relay"), ("1a", "1a")])
def test_digits_are_an_id_and_the_rest_a_name(text: str, ref: int | str) -> None:
    assert mail_server_ref(text) == ref


@pytest.mark.parametrize("text", ["", "../x", "A", "a b", "٣", "a" * 64, "1" * 64])
def test_what_is_neither_is_not_found(text: str) -> None:
    with pytest.raises(MailServerNotFound):
        mail_server_ref(text)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("smtp.example.com", "smtp-example-com"),
        ("SMTP.Example.com.", "smtp-example-com"),
        ("_a_.example", "a-example"),
        ("192.0.2.7", "server-192-0-2-7"),
        ("2001:db8::7", "server-2001-db8-7"),
        ("default", "mail-default"),
        ("server", "mail-server"),
        ("server-7", "mail-server-7"),
        (f"{'a' * 62}.example.com", "a" * 62),
    ],
)
def test_a_host_gives_a_name_that_is_allowed(host: str, name: str) -> None:
    assert name_from_host(host) == name
    for tried in names_to_try(name, 7):
        require_server_name(tried, 7)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("description", "a" * 501),
        ("description", "a\tb"),
        ("description", "a\r\nb"),
        ("labels", {str(number): "" for number in range(21)}),
        ("labels", {"": "a"}),
        ("labels", {"A": "a"}),
        ("labels", {"a" * 64: "a"}),
        ("labels", {"-a": "a"}),
        ("labels", {"a": "b" * 64}),
        ("labels", {"a": "b\nc"}),
    ],
)
def test_notes_are_bounded_and_printable(setting: str, value: Any) -> None:
    with pytest.raises(InvalidSetting) as refused:
        MailServer("a.example", 25, ConnectionSecurity.NONE, Sender("a@example.org"), **{setting: value})

    assert refused.value.setting == setting
