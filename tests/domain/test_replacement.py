"""A stored secret is only ever sent to the destination it was given for, whatever is changed around it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.errors import InvalidSetting, NoSecretStored, SecretNeededAgain
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret

from support.certificates import authority_pem

SETTINGS = ["host", "port", "security", "trust", "login", "username", "client_id", "tenant"]
STORED_SECRET = Secret("the stored one")
CERTIFICATES = [CustomTrust.parse(authority_pem()), CustomTrust.parse(authority_pem())]

logins = st.one_of(
    st.builds(PasswordAuthentication, st.sampled_from(["alice", "bob"]), st.none()),
    st.builds(
        OAuth2ClientCredentials,
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["client-1", "client-2"]),
        st.sampled_from(["tenant-1", "tenant-2"]),
        st.none(),
    ),
)
servers = st.builds(
    MailServer,
    st.sampled_from(["example.com", "example.co", "mail.example.com", "10.0.0.1"]),
    st.sampled_from([25, 465, 587]),
    st.sampled_from(ConnectionSecurity),
    st.builds(Sender, st.sampled_from(["a@example.com", "b@example.com"])),
    logins,
    st.sampled_from([SystemTrust(), *CERTIFICATES]),
)
STARTTLS = MailServer(
    "example.com",
    587,
    ConnectionSecurity.STARTTLS,
    Sender("a@example.com"),
    PasswordAuthentication("alice", STORED_SECRET),
    CERTIFICATES[0],
)


SPELLINGS = {
    "example.com": ["example.com", "EXAMPLE.com", "Example.Com"],
    "example.com.": ["example.com.", "Example.Com."],
    "example.co": ["example.co", "example.CO"],
    "example.com.evil.example": ["example.com.evil.example", "EXAMPLE.COM.evil.example"],
    "xn--exmple-cua.com": ["xn--exmple-cua.com", "XN--EXMPLE-CUA.COM"],
    "10.0.0.1": ["10.0.0.1"],
    "::ffff:a00:1": ["::ffff:a00:1", "::ffff:10.0.0.1", "0:0:0:0:0:FFFF:10.0.0.1"],
    "2001:db8::1": ["2001:db8::1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:0db8::0001"],
    "2001:db8::10": ["2001:db8::10"],
}
"""Hosts, and the ways to write each of them."""

spelled = st.sampled_from(list(SPELLINGS)).flatmap(
    lambda host: st.tuples(st.just(host), st.sampled_from(SPELLINGS[host]), st.sampled_from(SPELLINGS[host]))
)
names = st.text("abAB .@-é", min_size=1, max_size=3).filter(str.strip)
settings = st.fixed_dictionaries(
    {
        "host": spelled,
        "port": st.integers(1, 65535),
        "security": st.sampled_from(ConnectionSecurity),
        "trust": st.sampled_from([SystemTrust(), *CERTIFICATES]),
        "login": st.sampled_from(["password", "oauth2"]),
        "username": names,
        "client_id": names,
        "tenant": st.sampled_from(["tenant-1", "tenant-2", "Tenant-1"]),
    }
)
Settings = dict[str, Any]


def server_of(settings: Settings, spelling: int) -> MailServer:
    """The server, its host in the first or second spelling; no secret is given."""
    login: Any = PasswordAuthentication(settings["username"], None)
    if settings["login"] == "oauth2":
        login = OAuth2ClientCredentials(settings["username"], settings["client_id"], settings["tenant"], None)
    sender = Sender("a@example.com")
    return MailServer(
        settings["host"][spelling], settings["port"], settings["security"], sender, login, settings["trust"]
    )


def decisive(settings: Settings) -> Settings:
    """What tells destinations apart: the host by what it is, and of the login what it has."""
    unused = {"client_id", "tenant"} if settings["login"] == "password" else set()
    return {name: value for name, value in settings.items() if name not in unused} | {"host": settings["host"][0]}


unsaid = st.sampled_from([SecretInput.KEPT, SecretInput.OMITTED])


@given(settings=settings, others=settings, changed=st.sets(st.sampled_from(SETTINGS), max_size=3), said=unsaid)
def test_only_another_spelling_of_a_setting_keeps_the_secret(
    settings: Settings, others: Settings, changed: set[str], said: SecretInput
) -> None:
    stored = server_of(settings, 1).with_secret(STORED_SECRET)
    before = repr(stored)
    wanted_settings = settings | {name: others[name] for name in changed}
    wanted = server_of(wanted_settings, 2)

    if decisive(wanted_settings) == decisive(settings):
        assert Replacement(wanted, said).onto(stored) == wanted.with_secret(STORED_SECRET)
    else:
        with pytest.raises(SecretNeededAgain):
            Replacement(wanted, said).onto(stored)
    assert repr(stored) == before
    assert stored.secret == STORED_SECRET


@given(settings=settings, others=settings, name=st.sampled_from(SETTINGS))
def test_each_bound_setting_alone_changes_the_destination(settings: Settings, others: Settings, name: str) -> None:
    """Case 15."""
    changed = settings | {name: others[name]}
    assume(decisive(changed) != decisive(settings))

    assert server_of(changed, 1).destination() != server_of(settings, 1).destination()


def told_apart(server: MailServer) -> tuple[Any, ...]:
    """The eight settings that decide who sees the secret, spelled out once more and apart from the code."""
    login = server.authentication
    names = ("username", "client_id", "tenant")
    return (
        *(server.host, server.port, server.security, server.trust, type(login).__name__),
        *(getattr(login, name, None) for name in names),
    )


@given(stored=servers, wanted=servers, change=st.sampled_from([SecretInput.KEPT, SecretInput.OMITTED]))
def test_a_stored_secret_survives_only_for_an_unchanged_destination(
    stored: MailServer, wanted: MailServer, change: SecretInput
) -> None:
    stored = stored.with_secret(STORED_SECRET)
    if told_apart(stored) == told_apart(wanted):
        assert Replacement(wanted, change).onto(stored) == wanted.with_secret(STORED_SECRET)
        return
    with pytest.raises(SecretNeededAgain):
        Replacement(wanted, change).onto(stored)


@given(stored=st.none() | servers, wanted=servers)
def test_a_given_secret_is_stored(stored: MailServer | None, wanted: MailServer) -> None:
    new = wanted.with_secret(Secret("a new one"))

    assert Replacement(new).onto(stored) == new


@pytest.mark.parametrize("host", ["EXAMPLE.com", "Example.Com"])
def test_another_spelling_of_the_same_host_keeps_the_secret(host: str) -> None:
    wanted = replace(STARTTLS.with_secret(None), host=host)

    assert Replacement(wanted, SecretInput.KEPT).onto(STARTTLS).secret == STORED_SECRET


OAUTH2 = replace(STARTTLS, authentication=OAuth2ClientCredentials("alice", "c", "t", STORED_SECRET))
ONE_CHANGE: dict[str, tuple[MailServer, dict[str, Any]]] = {
    "host": (STARTTLS, {"host": "example.co"}),
    "address": (replace(STARTTLS, host="10.0.0.1"), {"host": "10.0.0.2"}),
    "port": (STARTTLS, {"port": 465}),
    "security": (STARTTLS, {"security": ConnectionSecurity.NONE}),
    "certificate": (STARTTLS, {"trust": CERTIFICATES[1]}),
    "no certificate": (STARTTLS, {"trust": SystemTrust()}),
    "user name": (STARTTLS, {"authentication": PasswordAuthentication("bob", None)}),
    "login type": (STARTTLS, {"authentication": OAuth2ClientCredentials("alice", "c", "t", None)}),
    "OAuth2 user name": (OAUTH2, {"authentication": OAuth2ClientCredentials("bob", "c", "t", None)}),
    "client id": (OAUTH2, {"authentication": OAuth2ClientCredentials("alice", "C", "t", None)}),
    "tenant": (OAUTH2, {"authentication": OAuth2ClientCredentials("alice", "c", "T", None)}),
}


@pytest.mark.parametrize("name", ONE_CHANGE)
@pytest.mark.parametrize("change", [SecretInput.KEPT, SecretInput.OMITTED])
def test_one_bound_setting_that_changes_requires_the_secret_again(name: str, change: SecretInput) -> None:
    stored, changes = ONE_CHANGE[name]
    same = stored.with_secret(None)

    assert Replacement(same, change).onto(stored).secret == STORED_SECRET
    with pytest.raises(SecretNeededAgain):
        Replacement(replace(same, **changes), change).onto(stored)


def test_a_change_of_the_sender_keeps_the_secret() -> None:
    wanted = replace(STARTTLS.with_secret(None), sender=Sender("other@example.com", "Other"))

    assert Replacement(wanted, SecretInput.KEPT).onto(STARTTLS).secret == STORED_SECRET


@pytest.mark.parametrize(
    ("login", "setting"),
    [
        (PasswordAuthentication("alice", None), Setting.PASSWORD),
        (OAuth2ClientCredentials("alice", "c", "t", None), Setting.CLIENT_SECRET),
    ],
    ids=["password", "client secret"],
)
def test_mask_without_stored_secret_names_the_setting_to_send(login: Any, setting: Setting) -> None:
    for placeholder in (SecretInput.KEPT, SecretInput.PLACEHOLDER):
        with pytest.raises(NoSecretStored) as refused:
            Replacement(replace(STARTTLS, authentication=login), placeholder).onto(None)

        assert refused.value.setting is setting
        assert refused.value.problem == "is a placeholder, and no secret is stored; send the secret."


def test_a_placeholder_of_another_api_keeps_no_secret() -> None:
    with pytest.raises(InvalidSetting, match=r"is a placeholder, not a secret; send the secret\."):
        Replacement(STARTTLS.with_secret(None), SecretInput.PLACEHOLDER).onto(STARTTLS)


@pytest.mark.parametrize(
    "stored", [None, replace(STARTTLS, authentication=NoAuthentication())], ids=["none", "no login"]
)
def test_omitting_a_secret_is_accepted_if_none_is_stored(stored: MailServer | None) -> None:
    wanted = STARTTLS.with_secret(None)

    assert Replacement(wanted, SecretInput.OMITTED).onto(stored) == wanted


def test_a_mask_for_a_login_without_secret_is_refused() -> None:
    stored = STARTTLS.with_secret(None)
    masked = Replacement(stored, SecretInput.KEPT)

    assert masked.onto(stored) == stored
    for other in (AmbientCredentials("alice"), NoAuthentication()):
        with pytest.raises(NoSecretStored):
            masked.onto(replace(stored, authentication=other))


def test_an_api_that_cannot_express_trust_leaves_it_unchanged() -> None:
    wanted = replace(STARTTLS.with_secret(None), trust=SystemTrust())
    clear = replace(wanted, security=ConnectionSecurity.NONE, authentication=NoAuthentication())
    trust = frozenset({Setting.CERTIFICATE})

    assert Replacement(wanted, SecretInput.OMITTED, trust).onto(STARTTLS) == STARTTLS
    without = Replacement(clear, keeps=trust).onto(STARTTLS)
    assert without.trust == CERTIFICATES[0]
    assert Replacement(wanted, keeps=trust).onto(without).trust == CERTIFICATES[0]
    assert Replacement(wanted, keeps=trust).onto(None).trust == SystemTrust()
    assert Replacement(wanted).onto(STARTTLS).trust == SystemTrust()


KEPT: dict[str, tuple[Setting, Authentication, Authentication]] = {
    "the machine's own login": (Setting.DEFAULT_CREDENTIALS, AmbientCredentials("svc"), NoAuthentication()),
    "OAuth2": (
        Setting.CLIENT_ID,
        OAuth2ClientCredentials("alice", "c", "t", STORED_SECRET),
        PasswordAuthentication("alice", None),
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_login_that_the_api_shows_differently_stays(name: str) -> None:
    word, login, shown = KEPT[name]
    stored = replace(STARTTLS, authentication=login)
    wanted = replace(STARTTLS, authentication=shown)
    other = replace(STARTTLS, authentication=PasswordAuthentication("bob", Secret("a new one")))

    assert Replacement(wanted, SecretInput.OMITTED, frozenset({word})).onto(stored) == stored
    assert Replacement(other, keeps=frozenset({word})).onto(stored) == other
    assert Replacement(other.with_secret(None), SecretInput.OMITTED, frozenset({word})).onto(
        stored.with_secret(None)
    ) == (other.with_secret(None))
    assert Replacement(wanted).onto(stored) == wanted


@pytest.mark.parametrize("shown", ["a@example.com", "b@example.com"])
def test_address_in_place_of_a_name_means_no_name(shown: str) -> None:
    stored = STARTTLS
    wanted = replace(STARTTLS, sender=Sender("b@example.com", shown))
    named = replace(STARTTLS, sender=Sender("b@example.com", "B"))
    word = frozenset({Setting.SENDER_NAME})

    assert Replacement(wanted, keeps=word).onto(stored).sender == Sender("b@example.com")
    assert Replacement(named, keeps=word).onto(stored).sender == named.sender
    assert Replacement(wanted, keeps=word).onto(named).sender == wanted.sender


@given(stored=servers, wanted=servers, keeps=st.frozensets(st.sampled_from(Setting)), change=unsaid)
def test_kept_secret_is_only_used_for_its_own_destination(
    stored: MailServer, wanted: MailServer, keeps: frozenset[Setting], change: SecretInput
) -> None:
    stored = stored.with_secret(STORED_SECRET)
    try:
        server = Replacement(wanted, change, keeps).onto(stored)
    except SecretNeededAgain:
        return

    assert told_apart(server) == told_apart(stored)
