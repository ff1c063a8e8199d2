"""Addresses in header fields and arguments (RFC 5322 3.4), with the obsolete forms that programs still write.

Without `email.utils`, which costs more processor time than the rest of the program.
"""

from collections.abc import Iterator
from itertools import pairwise

from mailsettings.sendmail.failure import CONFIG, DATA, Failed

_SPACE = b" \t\r\n"
_SPECIAL = b'"([<>,;:' + _SPACE
_JOINTS = b".@"
_DELETE = 0x7F

Token = tuple[int, int, bytes]
"""Where a word or special character begins and ends, and its text."""


def mailboxes(text: bytes) -> list[Token]:
    """Return the address of each mailbox of a list, and where it is, without display names and comments."""
    found = list[Token]()
    words, inside = list[Token](), list[Token]()
    depth, angled = False, False
    for token in (*_tokens(text), (len(text), len(text), b",")):
        word = token[2]
        if depth and word != b">":
            inside.append(token)
        elif word in {b"<", b">"}:
            depth, angled = word == b"<", True
        elif word == b":":  # a group's name ends
            words = []
        elif word in {b",", b";"}:
            if angled or words:
                found.append(_joined(inside, token) if angled else _joined(words, token))
            words, inside, angled = [], [], False
        else:
            words.append(token)
    return found


def is_local(address: bytes) -> bool:
    """Return whether *address* is a name of this machine: without a domain, or with a domain without dot."""
    if address.endswith(b'"'):
        return True
    domain = address.rpartition(b"@")[2] if b"@" in address else b""
    return b"." not in domain.strip(b".") and not domain.startswith(b"[")


def qualified(address: bytes, local_address: str) -> bytes:
    """Return *address*, or the configured address for a local name."""
    if not is_local(address):
        return address
    if not local_address:
        name = address.decode(errors="replace")
        raise Failed(CONFIG, f"the name {name!r} has no domain: set local_address to the address for such names")
    return local_address.encode()


def checked(address: bytes) -> bytes:
    """Return *address* if it can stand in a command."""
    local, at, domain = address.rpartition(b"@")
    quoted = address.startswith(b'"')
    bad = any(byte < ord(" ") or byte == _DELETE for byte in address) or (not quoted and b" " in address)
    if bad or not address or b"<" in domain or b">" in domain or (at and not (local and domain)):
        raise Failed(DATA, f"{address.decode(errors='replace')!r} is not an address")
    return address


def _tokens(text: bytes) -> Iterator[Token]:
    """Yield words and special characters; a quoted string and a domain literal are part of a word."""
    start = 0
    while start < len(text):
        character = text[start : start + 1]
        if character in _SPACE:
            start += 1
        elif character == b"(":
            start = _after_comment(text, start)
        else:
            end = start + 1 if character in b"<>,;:" else _after_word(text, start)
            yield start, end, text[start:end]
            start = end


def _after_word(text: bytes, start: int) -> int:
    position = start
    while position < len(text):
        character = text[position : position + 1]
        if character == b'"':
            position = _after_quoted(text, position)
        elif character == b"[":
            position = (text.find(b"]", position) + 1) or len(text)
        elif character in _SPECIAL:
            break
        else:
            position += 1
    return position


def _after_quoted(text: bytes, start: int) -> int:
    position = start + 1
    while position < len(text) and text[position : position + 1] != b'"':
        position += 2 if text[position : position + 1] == b"\\" else 1
    return min(position + 1, len(text))


def _after_comment(text: bytes, start: int) -> int:
    depth, position = 0, start
    while position < len(text):
        character = text[position : position + 1]
        depth += {b"(": 1, b")": -1}.get(character, 0)
        position += 2 if character == b"\\" else 1
        if not depth:
            break
    return position


def _joined(tokens: list[Token], end: Token) -> Token:
    """Return the address of *tokens* without its route (`@a,@b:`). Words meet at a dot or an at sign only."""
    if tokens and tokens[0][2].startswith(b"@"):
        colons = [number for number, token in enumerate(tokens) if token[2] == b":"]
        tokens = tokens[colons[-1] + 1 :] if colons else tokens
    if not tokens:
        return end[0], end[0], b""
    address = tokens[0][2]
    for before, token in pairwise(tokens):
        apart = before[1] != token[0] and address[-1:] not in _JOINTS and token[2][:1] not in _JOINTS
        address += b" " * apart + token[2]
    return tokens[0][0], tokens[-1][1], address
