"""Read the addresses of a header field (RFC 5322 3.4): mailboxes, groups, comments, quoted and encoded words.

Every address that any reader could see in the field is returned, so that a rule for addresses covers them all.
Encoded words (RFC 2047) are part of display names and are never decoded here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_TOKEN = re.compile(
    r'(?P<space>[ \t\r\n]+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^\[\]\\ \t]*\])|(?P<special>[<>@,;:.])'
    r"|(?P<word>[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+)"
)
_COMMENT_PART = re.compile(r"\\.|[()]|[^\\()]+", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLAIN_LOCAL = re.compile(r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+(?:\.[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+)*")
_JOINING = frozenset({".", "@", ",", ":"})
_ENCODED_WORD = "=?"
"""Some readers decode encoded words in an address, against RFC 2047 5."""
_ADDRESS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^@"\[\]]+)@(?:[^@"\[\]]+|\[[^\[\]]+\])')


class MalformedAddresses(Exception):
    """The field is not a list of addresses."""


class Mailbox(NamedTuple):
    """An address, and the display name in front of it as it is written."""

    name: str
    address: str


class _Token(NamedTuple):
    kind: str
    text: str


def parse_mailboxes(value: str) -> list[Mailbox]:
    """Return all mailboxes of *value*, those of groups too. Raises `MalformedAddresses`."""
    if _CONTROL.search(value):
        raise MalformedAddresses
    parser = _Parser()
    for token in _tokens(value):
        parser.take(token)
    return parser.finish()


def _tokens(value: str) -> Iterator[_Token]:
    """Yield the tokens of *value*; a comment counts as a blank (RFC 5322 3.2.2)."""
    position = 0
    while position < len(value):
        if value[position] == "(":
            position = _after_comment(value, position)
            yield _Token("space", " ")
            continue
        found = _TOKEN.match(value, position)
        if found is None:
            raise MalformedAddresses
        position = found.end()
        yield _Token(found.lastgroup or "", found[0])


def _after_comment(value: str, start: int) -> int:
    depth = 0
    for part in _COMMENT_PART.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if depth == 0:
            return part.end()
    raise MalformedAddresses


@dataclass(slots=True)
class _Parser:
    """Collects the tokens of one mailbox at a time; `angle` has the tokens within `<` and `>`."""

    mailboxes: list[Mailbox] = field(default_factory=list)
    words: list[_Token] = field(default_factory=list)
    angle: list[_Token] | None = None
    is_in_angle: bool = False
    is_in_group: bool = False

    def take(self, token: _Token) -> None:
        """Take the next token."""
        if self.is_in_angle:
            self._take_in_angle(token)
            return
        match token.text:
            case "<":
                self._start_angle()
            case ">":
                raise MalformedAddresses
            case ",":
                self._end_mailbox()
            case ":":
                self._start_group()
            case ";":
                self._end_group()
            case _:
                self._take_word(token)

    def finish(self) -> list[Mailbox]:
        """Return the mailboxes."""
        if self.is_in_angle or self.is_in_group:
            raise MalformedAddresses
        self._end_mailbox()
        return self.mailboxes

    def _take_in_angle(self, token: _Token) -> None:
        if token.text == "<":
            raise MalformedAddresses
        if token.text == ">":
            self.is_in_angle = False
        elif self.angle is not None:
            _append(self.angle, token)

    def _start_angle(self) -> None:
        if self.angle is not None:
            raise MalformedAddresses
        self.angle, self.is_in_angle = [], True

    def _start_group(self) -> None:
        if self.is_in_group or self.angle is not None or _has_address(self.words):
            raise MalformedAddresses
        self.words, self.is_in_group = [], True

    def _end_group(self) -> None:
        if not self.is_in_group:
            raise MalformedAddresses
        self._end_mailbox()
        self.is_in_group = False

    def _take_word(self, token: _Token) -> None:
        if token.kind != "space" and self.angle is not None:
            raise MalformedAddresses
        _append(self.words, token)

    def _end_mailbox(self) -> None:
        words, angle = _stripped(self.words), self.angle
        self.words, self.angle = [], None
        if angle is not None:
            self.mailboxes.append(Mailbox(_text(words), _address(_without_route(_joined(_stripped(angle))))))
            # Some readers take an unquoted address in the place of the name for the sender.
            if _has_address(words):
                self.mailboxes.append(Mailbox("", _address(_joined(words))))
        elif words:
            self.mailboxes.append(Mailbox("", _address(_joined(words))))


def _append(tokens: list[_Token], token: _Token) -> None:
    """Append *token*; blanks in a row count as a single, so that no later step depends on their number."""
    if token.kind != "space" or not tokens or tokens[-1].kind != "space":
        tokens.append(token)


def _has_address(words: list[_Token]) -> bool:
    return any(token.text == "@" or token.kind == "literal" for token in words)


def _stripped(tokens: list[_Token]) -> list[_Token]:
    start = 1 if tokens and tokens[0].kind == "space" else 0
    end = len(tokens) - 1 if tokens and tokens[-1].kind == "space" else len(tokens)
    return tokens[start:end]


def _text(words: list[_Token]) -> str:
    return " ".join("".join(" " if token.kind == "space" else token.text for token in words).split())


def _without_route(angle: list[_Token]) -> list[_Token]:
    """Drop an obsolete route (RFC 5322 4.4), `@a,@b:`."""
    ends = [place for place, token in enumerate(angle) if token.text == ":"]
    return angle[ends[0] + 1 :] if ends and angle[0].text == "@" else angle


def _joined(words: list[_Token]) -> list[_Token]:
    """Return *words* without blanks next to `.`, `@` and in routes (RFC 5322 4.4).

    A blank is between two words. Two words in a row are not an address.
    """
    joined: list[_Token] = []
    for place, token in enumerate(words):
        if token.kind != "space":
            joined.append(token)
        elif _JOINING.isdisjoint({words[place - 1].text, words[place + 1].text}):
            raise MalformedAddresses
    return joined


def _address(tokens: list[_Token]) -> str:
    text = "".join(token.text for token in tokens)
    if not _ADDRESS.fullmatch(text) or _ENCODED_WORD in text:
        raise MalformedAddresses
    if any(token.text in {",", ";", ":"} for token in tokens):
        raise MalformedAddresses
    return _canonical(text)


def _canonical(address: str) -> str:
    """Return *address* without the quotes of a local part that needs none."""
    local, at, domain = address.rpartition("@")
    if local.startswith('"'):
        inside = re.sub(r"\\(.)", r"\1", local[1:-1])
        local = inside if _PLAIN_LOCAL.fullmatch(inside) else local
    return f"{local}{at}{domain}"
