"""A mail server is valid from the moment it exists."""

from collections.abc import Callable
from typing import Any

import pytest
import trustme

from mailsettings.domain.certificates import MAX_CERTIFICATES, MAX_PEM_LENGTH, CustomTrust, first_certificate
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret

from support.certificates import authority_pem, key_pem

ENTRA: dict[str, Any] = {"username": "u", "client_id": "c", "tenant": "t", "client_secret": None}


def server(**changes: Any) -> MailServer:
    settings: dict[str, Any] = {
        "host": "mail.example.org",
        "port": 587,
        "security": ConnectionSecurity.STARTTLS,
        "sender": Sender("a@example.org"),
    }
    return MailServer(**(settings | changes))


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
def test_only_ports_from_1_to_65535_are_accepted(port: int) -> None:
    with pytest.raises(InvalidSetting) as refused:
        server(port=port)

    assert refused.value.setting is Setting.PORT
    assert refused.value.problem == "must be between 1 and 65535."


@pytest.mark.parametrize("port", [1, 65535])
def test_the_lowest_and_highest_port_are_accepted(port: int) -> None:
    assert server(port=port).port == port


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (lambda text: Sender(text), Setting.SENDER_ADDRESS),
        (lambda text: Sender("a@b", text), Setting.SENDER_NAME),
        (lambda text: PasswordAuthentication(text, None), Setting.USERNAME),
        (lambda text: PasswordAuthentication("u", Secret(text)), Setting.PASSWORD),
        (lambda text: AmbientCredentials(text), Setting.USERNAME),
        (lambda text: OAuth2ClientCredentials(**ENTRA | {"username": text}), Setting.USERNAME),
        (lambda text: OAuth2ClientCredentials(**ENTRA | {"client_id": text}), Setting.CLIENT_ID),
        (lambda text: OAuth2ClientCredentials(**ENTRA | {"tenant": text}), Setting.TENANT),
        (
            lambda text: OAuth2ClientCredentials(**ENTRA | {"client_secret": Secret(text)}),
            Setting.CLIENT_SECRET,
        ),
    ],
    ids=[
        "address",
        "name",
        "username",
        "password",
        "ambient",
        "oauth2 user",
        "client id",
        "tenant",
        "secret",
    ],
)
@pytest.mark.parametrize("text", ["", "a\r\nb", "\0", "x" * 400], ids=["empty", "line break", "NUL", "too long"])
def test_every_text_is_bounded_and_printable(make: Any, setting: Setting, text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        make(text)

    assert refused.value.setting is setting
    assert text not in str(refused.value) or text == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must not be empty."),
        ("x" * 321, "must not be longer than 320 characters."),
        ("\n", "must not contain control characters or line breaks."),
    ],
    ids=["empty", "too long", "line break"],
)
def test_a_refused_text_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        AmbientCredentials(text)

    assert (refused.value.setting, refused.value.problem) == (Setting.USERNAME, problem)


def test_the_longest_allowed_texts_are_accepted() -> None:
    name, id_ = "x" * 320, "x" * 255

    assert Sender(name, name).display_name == name
    assert PasswordAuthentication(name, Secret(id_)).username == name
    assert OAuth2ClientCredentials(name, id_, id_, Secret(id_)).tenant == id_


@pytest.mark.parametrize("tenant", ["a/b", "a?b", "a b", "../x", "ä", "-", "..."])
def test_tenant_cannot_change_the_url_of_the_token_authority(tenant: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        OAuth2ClientCredentials(**ENTRA | {"tenant": tenant})

    assert refused.value.setting is Setting.TENANT
    assert refused.value.problem == "must be a tenant id or a domain name."


@pytest.mark.parametrize("tenant", ["11111111-2222-3333-4444-555555555555", "mail-1.example.org"])
def test_a_tenant_is_an_id_or_a_domain_name(tenant: str) -> None:
    assert OAuth2ClientCredentials(**ENTRA | {"tenant": tenant}).tenant == tenant


@pytest.mark.parametrize("text", ["*" * 10, "*", "••••••••"])
def test_a_mask_is_not_a_password(text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        PasswordAuthentication("u", Secret(text))

    assert refused.value.setting is Setting.PASSWORD
    assert refused.value.problem == "is a placeholder, and no secret is stored; send the secret."


def test_only_logins_with_a_secret_accept_one() -> None:
    secret = Secret("s")

    for login in (PasswordAuthentication("u", None), OAuth2ClientCredentials(**ENTRA)):
        assert server(authentication=login).secret is None
        assert server(authentication=login).with_secret(secret).secret == secret
    for other in (NoAuthentication(), AmbientCredentials("u")):
        assert server(authentication=other).with_secret(secret) == server(authentication=other)


def test_given_certificates_are_kept_exactly_as_they_are() -> None:
    pem = authority_pem() + authority_pem()

    assert CustomTrust.parse(pem).pem == pem


FORM = "must be one or more certificates in PEM form."
NO_KEY = "must not contain a private key."
LONG = "must not be longer than 32768 characters."
REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "empty": (lambda: "", FORM),
    "garbage": (lambda: "garbage", FORM),
    "no DER": (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", FORM),
    "not ASCII": (lambda: "ü", FORM),
    "key": (key_pem, NO_KEY),
    "and a key": (lambda: authority_pem() + key_pem(), NO_KEY),
    "literal line feeds": (lambda: authority_pem().replace("\n", "\\n"), FORM),
    "too many": (lambda: authority_pem() * (MAX_CERTIFICATES + 1), "must not hold more than 10 certificates."),
    "too long": (lambda: authority_pem().ljust(MAX_PEM_LENGTH + 1), LONG),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_but_certificates_is_refused(case: str) -> None:
    pem, problem = REFUSED[case]
    with pytest.raises(InvalidSetting) as refused:
        CustomTrust.parse(pem())

    assert (refused.value.setting, refused.value.problem) == (Setting.CERTIFICATE, problem)


def test_the_maximum_number_and_length_of_certificates_is_accepted() -> None:
    most, longest = authority_pem() * MAX_CERTIFICATES, authority_pem().ljust(MAX_PEM_LENGTH)

    assert CustomTrust.parse(most).pem == most
    assert CustomTrust.parse(longest).pem == longest


def test_the_first_certificate_of_a_file_is_the_servers_own() -> None:
    own, issuer = authority_pem(), trustme.CA().cert_pem.bytes().decode()

    assert first_certificate(own + issuer).split() == own.split()
