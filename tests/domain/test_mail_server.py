"""A mail server is valid from the moment it exists."""

from typing import Any

import pytest

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
from mailsettings.domain.secret import Secret
from mailsettings.domain.setting import Setting
from mailsettings.domain.trust import LONGEST_PEM, MOST_CERTIFICATES, GivenCertificates

from certificates import authority_pem, key_pem

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
def test_a_port_is_one_that_exists(port: int) -> None:
    with pytest.raises(InvalidSetting) as refused:
        server(port=port)

    assert refused.value.setting is Setting.PORT


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


@pytest.mark.parametrize("tenant", ["a/b", "a?b", "a b", "../x", "ä"])
def test_a_tenant_cannot_change_the_address_that_a_token_is_asked_from(tenant: str) -> None:
    with pytest.raises(InvalidSetting):
        OAuth2ClientCredentials(**ENTRA | {"tenant": tenant})


@pytest.mark.parametrize("text", ["*" * 10, "*", "••••••••"])
def test_a_mask_is_no_password(text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        PasswordAuthentication("u", Secret(text))

    assert refused.value.setting is Setting.PASSWORD
    assert refused.value.problem == "is a mask, not a secret; send the real one."


def test_only_logins_with_a_secret_have_and_take_one() -> None:
    secret = Secret("s")

    for login in (PasswordAuthentication("u", None), OAuth2ClientCredentials(**ENTRA)):
        assert server(authentication=login).secret is None
        assert server(authentication=login).with_secret(secret).secret == secret
    for other in (NoAuthentication(), AmbientCredentials("u")):
        assert server(authentication=other).with_secret(secret) == server(authentication=other)


def test_one_or_more_certificates_are_trusted_as_given() -> None:
    pem = authority_pem() + authority_pem()

    assert GivenCertificates.parse(pem).pem == pem


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "garbage",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "ü",
        key_pem(),
        authority_pem() + key_pem(),
        authority_pem().replace("\n", "\\n"),
        authority_pem() * (MOST_CERTIFICATES + 1),
        authority_pem() + "x" * LONGEST_PEM,
    ],
    ids=[
        "empty",
        "garbage",
        "no DER",
        "not ASCII",
        "key",
        "and a key",
        "literal line feeds",
        "too many",
        "too long",
    ],
)
def test_anything_but_certificates_is_refused(pem: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        GivenCertificates.parse(pem)

    assert refused.value.setting is Setting.CERTIFICATE
