"""Command lines, paths and parameters (RFC 5321 4.1)."""

import pytest

from mailsettings.relay.incoming.commands import Command, Path, parse_command, parse_path, require_address
from mailsettings.relay.incoming.refusals import BAD_SENDER, LINE_TOO_LONG, NOT_A_LINE, NOT_ASCII, SYNTAX
from mailsettings.relay.replies import Refused, Reply

PATHS = {
    "FROM:<a@b.example>": Path("a@b.example", {}),
    "from:<a@b.example>": Path("a@b.example", {}),
    "FROM: <a@b.example>": Path("a@b.example", {}),
    "FROM:a@b.example": Path("a@b.example", {}),
    "FROM: a@b.example SIZE=7": Path("a@b.example", {"SIZE": "7"}),
    "FROM:<>": Path("", {}),
    "FROM:<a@b.example> size=7 BODY=8BITMIME SMTPUTF8": Path(
        "a@b.example", {"SIZE": "7", "BODY": "8BITMIME", "SMTPUTF8": ""}
    ),
    "FROM:<@x.example,@y.example:a@b.example>": Path("a@b.example", {}),
    "FROM:<@x.example:a@b.example>": Path("a@b.example", {}),
    'FROM:<"a> SIZE=1"@b.example>': Path('"a> SIZE=1"@b.example', {}),
    "FROM:< a@b.example >": Path("a@b.example", {}),
}
NO_PATHS = ["", "<a@b.example>", "TO:<a@b.example>", "FROM:", "FROM:<a@b.example", "FROM <a@b.example>"]
NO_PATHS += ["FROM:<a@b.example>SIZE=7", "FROM:<a@b.example> SIZE=1 SIZE=2", "FROM:a@b.example>"]
ADDRESSES = {
    "a@b.example": "a@b.example",
    "A.b+c=d%e!f@B.Example": "A.b+c=d%e!f@B.Example",
    '"scan"@b.example': "scan@b.example",
    '"sc\\an"@b.example': "scan@b.example",
    "a@[192.0.2.1]": "a@[192.0.2.1]",
    "a@[IPv6:2001:db8::1]": "a@[IPv6:2001:db8::1]",
    "a@b.example.": "a@b.example",
    "docomo..@b.example": "docomo..@b.example",
    f"{'a' * 64}@b.example": f"{'a' * 64}@b.example",
}
NO_ADDRESSES = ["", "a", "@b.example", "a@", "a@b", "a@localhost", "a@b.example@c.example", "a b@c.example"]
NO_ADDRESSES += [
    '"a b"@c.example',
    '"a>"@c.example',
    "a@b..example",
    "a@-b.example",
    "a@1.2.3.4",
    "a@b_c d.example",
]
NO_ADDRESSES += [
    "b.example!a",
    "a@[192.0.2.1",
    f"{'a' * 65}@b.example",
    f"a@{'b.' * 130}example",
    "a@b.example,c@d.e",
]
NO_ADDRESSES += [
    "<a@b.example>",
    "a@b.example>",
    "a(c)@b.example",
    "a\\@b.example",
    "a;b@c.example",
    "a:b@c.example",
]


def refusal_of(line: bytes) -> Reply:
    with pytest.raises(Refused) as refused:
        parse_command(line)
    return refused.value.reply


def test_a_command_is_a_verb_and_an_argument() -> None:
    assert Command("MAIL", "FROM:<a@b.example>") == parse_command(b"mail FROM:<a@b.example> \r\n")
    assert Command("QUIT", "") == parse_command(b"QUIT\r\n")
    assert Command("RCPT", "TO:<ü@b.example>") == parse_command("RCPT TO:<ü@b.example>\r\n".encode())


@pytest.mark.parametrize(
    "line",
    [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\0\r\n", b"NOOP \x07\r\n", b"NOOP \xc3\xbc\r\n", b"MAIL FROM:\xff\r\n"],
)
def test_a_line_with_odd_bytes_is_refused(line: bytes) -> None:
    assert refusal_of(line) == NOT_A_LINE


def test_only_logins_have_long_lines() -> None:
    assert parse_command(b"AUTH PLAIN " + b"a" * 12_288 + b"\r\n")
    assert refusal_of(b"NOOP " + b"a" * 1024 + b"\r\n") == LINE_TOO_LONG


@pytest.mark.parametrize("argument", PATHS)
def test_a_path_has_an_address_and_parameters(argument: str) -> None:
    assert PATHS[argument] == parse_path(argument, "FROM:")


@pytest.mark.parametrize("argument", NO_PATHS)
def test_what_is_no_path_is_a_syntax_error(argument: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_path(argument, "FROM:")

    assert refused.value.reply == SYNTAX


@pytest.mark.parametrize("path", ADDRESSES)
def test_an_address_is_taken_without_needless_quotes(path: str) -> None:
    assert ADDRESSES[path] == require_address(path, BAD_SENDER, smtputf8=False)


@pytest.mark.parametrize("path", NO_ADDRESSES)
def test_an_address_needs_a_full_domain(path: str) -> None:
    with pytest.raises(Refused) as refused:
        require_address(path, BAD_SENDER, smtputf8=False)

    assert refused.value.reply == BAD_SENDER


def test_unicode_needs_smtputf8() -> None:
    assert require_address("ü@bücher.example", BAD_SENDER, smtputf8=True) == "ü@bücher.example"
    with pytest.raises(Refused) as refused:
        require_address("ü@b.example", BAD_SENDER, smtputf8=False)

    assert refused.value.reply == NOT_ASCII


@pytest.mark.parametrize("path", ["scan@printer", "scan@localhost", "scan@printer_3.lan", "scan@[10.0.0.5]"])
def test_a_replaced_sender_needs_no_full_domain(path: str) -> None:
    assert path == require_address(path, BAD_SENDER, smtputf8=False, qualified=False)
