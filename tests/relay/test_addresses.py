"""The addresses of a From: field, by the grammar of RFC 5322 3.4 and its examples (appendix A)."""

import time
import timeit
from email import message_from_string, policy
from email.errors import HeaderParseError
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsettings.relay.incoming.addresses import MalformedAddresses, parse_mailboxes

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
    '"ceo"@example.net <scan@example.com>': ["scan@example.com", "ceo@example.net"],
    "ceo @ example.net<scan@example.com>": ["scan@example.com", "ceo@example.net"],
    "=?utf-8?q?ceo=40example.net?= <scan@example.com>": ["scan@example.com"],
    "Büro 3 <scan@example.com>": ["scan@example.com"],
    "scan@[192.0.2.1]": ["scan@[192.0.2.1]"],
    "": [],
}
MALFORMED = [
    # Python's own parsers find another address in each of these
    "Scan ceo@example.net <scan@example.com>",
    '""ceo@example.net <scan@example.com>',
    '"Scan"ceo@example.net <scan@example.com>',
    'ceo@example.net"Scan" <scan@example.com>',
    "@ceo@example.net <scan@example.com>",
    "<ceo@example.net example.com>",
    '"ceo@example.net"[192.0.2.1] <scan@example.com>',
    "=?utf-8?q?ceo=40example.net?=@example.com",
    "ceo@=?utf-8?q?example.net?=",
    "ceo@@example.net <scan@example.com>",
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


def seconds_for(value: str) -> float:
    """The processor time of reading *value*, the best of three."""
    return min(timeit.repeat(lambda: parse_mailboxes(value), number=1, repeat=3, timer=time.process_time))


@pytest.mark.parametrize("around", [("scan", "@example.com"), ("<scan@", "example.com>")])
def test_many_comments_take_proportional_time(around: tuple[str, str]) -> None:
    """All devices wait while a field is read: 60 KB of comments must not take half a minute."""
    few, many = ("()" * count for count in (500, 8000))

    assert seconds_for(many.join(around)) < 64 * seconds_for(few.join(around)), "16 times as many comments"


PARTS = [
    *("a@x.example", "b@y.example", '"q"', '"q@y.example"', "<", ">", "(", ")", ",", ":", ";", " ", "@", ".", '"'),
    *(
        "\\",
        "=?utf-8?q?c=40y.example?=",
        "word",
        "[192.0.2.1]",
        "<a@x.example>",
        "<b@y.example>",
        "\t",
        "x.example",
    ),
]


def found_by_others(value: str) -> set[str]:
    """The addresses that the parsers of the standard library find."""
    found = {address for _, address in getaddresses([value])}
    try:
        field = message_from_string(f"From: {value}\r\n\r\n", policy=policy.default)["From"]
        found |= {address.addr_spec for address in field.addresses}
    except (HeaderParseError, IndexError, AttributeError):  # the parser gives up
        pass
    return {address.replace('"', "") for address in found if "@" in address}


@settings(max_examples=400)
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=6))
def test_no_other_reader_finds_another_address(parts: list[str]) -> None:
    value = "".join(parts)
    try:
        found = {mailbox.address.replace('"', "") for mailbox in parse_mailboxes(value)}
    except MalformedAddresses:
        return

    assert not found or found_by_others(value) <= found
