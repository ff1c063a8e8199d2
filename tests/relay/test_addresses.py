"""The addresses of a From: field, by the grammar of RFC 5322 3.4 and its examples (appendix A)."""

import pytest

from mailsettings.relay.addresses import MalformedAddresses, parse_mailboxes

ADDRESSES = {
    # RFC 5322 appendix A.1, A.5 and A.6.1
    "John Doe <jdoe@machine.example>": ["jdoe@machine.example"],
    '"Joe Q. Public" <john.q.public@example.com>': ["john.q.public@example.com"],
    "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>": [
        "mary@x.test",
        "jdoe@example.org",
        "one@y.test",
    ],
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
    "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>": ["pete@silly.test"],
    "Joe Q. Public <john.q.public@example.com>": ["john.q.public@example.com"],
    "jdoe@test  . example": ["jdoe@test.example"],
    "Mary Smith <@node.test:mary@example.net>, , jdoe@test.example": ["mary@example.net", "jdoe@test.example"],
    # what devices and attackers write
    "scan@example.com": ["scan@example.com"],
    "<scan@example.com>": ["scan@example.com"],
    '"scan"@example.com': ["scan@example.com"],
    "scan@example.com (ceo@example.net)": ["scan@example.com"],
    "(ceo@example.net (nested)) scan@example.com": ["scan@example.com"],
    '"ceo@example.net" <scan@example.com>': ["scan@example.com"],
    "ceo@example.net <scan@example.com>": ["scan@example.com", "ceo@example.net"],
    "=?utf-8?q?ceo=40example.net?= <scan@example.com>": ["scan@example.com"],
    "Büro 3 <scan@example.com>": ["scan@example.com"],
    "scan@[192.0.2.1]": ["scan@[192.0.2.1]"],
    "": [],
}
MALFORMED = [
    "Scanner",
    "Scan ner@example.com",
    "=?utf-8?q?scan=40example.com?=",
    "scan@",
    "@example.com",
    "<>",
    "<scan@example.com",
    "scan@example.com>",
    "<scan@example.com> ceo@example.net",
    "<scan@example.com><ceo@example.net>",
    "<<scan@example.com>>",
    "scan@example.com@example.net",
    "<scan@example.com,ceo@example.net>",
    "scan@example.com (open",
    '"open <scan@example.com>',
    "scan@example.com;",
    "Group:scan@example.com",
    "Group:Group:scan@example.com;;",
    "scan@example.com\0",
    "scan\\@example.com",
]


@pytest.mark.parametrize("value", ADDRESSES)
def test_every_address_of_a_field_is_found(value: str) -> None:
    assert ADDRESSES[value] == [mailbox.address for mailbox in parse_mailboxes(value)]


@pytest.mark.parametrize("value", MALFORMED)
def test_a_field_of_no_addresses_is_malformed(value: str) -> None:
    with pytest.raises(MalformedAddresses):
        parse_mailboxes(value)
