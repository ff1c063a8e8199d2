"""Addresses are read as RFC 5322 writes them, appendix A and the obsolete forms included."""

import pytest

from mailsettings.sendmail.addresses import checked, is_local, mailboxes, qualified
from mailsettings.sendmail.failure import CONFIG, DATA, Failed

FIELDS = {
    "a@example.com": ["a@example.com"],
    "a@example.com, b@example.com": ["a@example.com", "b@example.com"],
    "John Doe <jdoe@machine.example>": ["jdoe@machine.example"],
    '"Joe Q. Public" <john.q.public@example.com>': ["john.q.public@example.com"],
    "Mary <mary@x.test>, jdoe@example.org,\n Who? <one@y.test>": ["mary@x.test", "jdoe@example.org", "one@y.test"],
    '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>': [
        "boss@nil.test",
        "sysservices@example.net",
    ],
    "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;": [
        "c@a.test",
        "joe@where.test",
        "jdoe@one.test",
    ],
    "Undisclosed recipients:;": [],
    "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;": [],
    "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>": ["pete@silly.test"],
    "A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n joe@example.org;": [
        *("c@public.example", "joe@example.org")
    ],
    "Mary Smith <@node.test,@other.test:mary@example.net>, , jdoe@test . example": [
        *("mary@example.net", "jdoe@test.example")
    ],
    "root (Cron Daemon)": ["root"],
    '"very, odd"@example.com': ['"very, odd"@example.com'],
    "user@[IPv6:2001:db8::1]": ["user@[IPv6:2001:db8::1]"],
    "": [],
    '"unended <a@example.com>': ['"unended <a@example.com>'],
}


@pytest.mark.parametrize("field", FIELDS)
def test_addresses_of_a_field_are_found(field: str) -> None:
    assert FIELDS[field] == [address.decode() for _, _, address in mailboxes(field.encode())]


def test_places_of_addresses_are_right() -> None:
    field = b"Root <root> , (x) cron (y), g: a@example.com;"

    assert [field[start:end] for start, end, _ in mailboxes(field)] == [b"root", b"cron", b"a@example.com"]


@pytest.mark.parametrize("name", ["root", "root@web1", "root@localhost", '"a@b"', "root@web1."])
def test_a_name_of_this_machine_is_local(name: str) -> None:
    assert is_local(name.encode())
    assert qualified(name.encode(), "admin@example.com") == b"admin@example.com"


@pytest.mark.parametrize("address", ["a@example.com", "a@[192.0.2.1]", '"a b"@example.com', "ä@example.com"])
def test_an_address_with_a_domain_stays(address: str) -> None:
    assert qualified(checked(address.encode()), "admin@example.com").decode() == address


def test_a_local_name_needs_the_configured_address() -> None:
    with pytest.raises(Failed, match="'root' has no domain: set local_address") as raised:
        qualified(b"root", "")

    assert raised.value.code == CONFIG


@pytest.mark.parametrize(
    "address",
    ["", "a b@example.com", "@example.com", "a@", "a@example.com>", "a\r\nDATA@example.com", "a\0@b.example"],
)
def test_what_cannot_be_in_a_command_is_refused(address: str) -> None:
    with pytest.raises(Failed, match="is not an address") as raised:
        checked(address.encode())

    assert raised.value.code == DATA
