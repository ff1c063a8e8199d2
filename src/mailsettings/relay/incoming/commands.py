"""Parse command lines (RFC 5321 4.1): the verb, the path of MAIL and RCPT, and its parameters."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mailsettings.domain.values import MAX_LOCAL_PART_LENGTH
from mailsettings.relay.incoming import refusals
from mailsettings.relay.replies import Refused, Reply

MAX_COMMAND_BYTES = 1024
"""RFC 5321 4.5.3.1.4 names 512 octets; the parameters of extensions add to them."""
MAX_PATH_LENGTH = 254  # RFC 5321 4.5.3.1.3: 256 octets with the angle brackets
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # all but the tab
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PATH = re.compile(rf"[ \t]*(?:<((?:{_QUOTED}|[^\">])*)>|([^ \t<>]+))(?=[ \t]|$)")
_SOURCE_ROUTE = re.compile(r"@[^@:,]+(?:,@[^@:,]+)*:")  # RFC 5321 4.1.2 At-domain; accepted and ignored
_ATOM = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+"  # RFC 5322 3.2.3, and RFC 6531 3.3 for characters beyond ASCII
_LOCAL = re.compile(rf"{_ATOM}(?:\.+{_ATOM})*\.*")  # dots that RFC 5321 refuses occur in real addresses
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])?")
_LITERAL = re.compile(r"\[[0-9A-Za-z.:-]{3,60}\]")
_NUMBERS = re.compile(r"[0-9.]+")


class Command(NamedTuple):
    """A command: its verb in capitals, and the rest of the line."""

    verb: str
    argument: str


class Path(NamedTuple):
    """The path of MAIL or RCPT, without brackets and source route, and the parameters behind it."""

    address: str
    parameters: Mapping[str, str]


def parse_command(line: bytes) -> Command:
    """Return the command of *line*. Raises `Refused` for anything but text that ends with CR LF."""
    if not line.endswith(b"\r\n") or line.count(b"\r") > 1 or b"\0" in line:
        raise Refused(refusals.NOT_A_LINE)
    verb, _, argument = _decode(line[:-2]).partition(" ")
    if len(line) > MAX_COMMAND_BYTES and verb.upper() != "AUTH":
        raise Refused(refusals.LINE_TOO_LONG)
    if _CONTROL.search(argument):
        raise Refused(refusals.NOT_A_LINE)
    return Command(verb.upper(), argument.strip(" \t"))


def _decode(line: bytes) -> str:
    """Return the text of *line*; beyond ASCII only MAIL and RCPT have a meaning (RFC 6531 3.3)."""
    try:
        return line.decode("utf-8" if line[:4].upper() in {b"MAIL", b"RCPT"} else "ascii")
    except UnicodeDecodeError:
        raise Refused(refusals.NOT_A_LINE) from None


def parse_path(argument: str, keyword: str) -> Path:
    """Return the path after *keyword*, `FROM:` or `TO:`.

    A blank behind the colon and a path without brackets are accepted, because devices send both.
    """
    found = argument[: len(keyword)].upper() == keyword and _PATH.match(argument, len(keyword))
    if not found:
        raise Refused(refusals.SYNTAX)
    path = (found[1] if found[1] is not None else found[2]).strip()
    return Path(
        _SOURCE_ROUTE.sub("", path, count=1) if path.startswith("@") else path,
        _parameters(argument[found.end() :]),
    )


def _parameters(text: str) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name.upper() in parameters:
            raise Refused(refusals.SYNTAX)
        parameters[name.upper()] = value
    return parameters


def require_address(path: str, refusal: Reply, *, smtputf8: bool, qualified: bool = True) -> str:
    """Return the address of *path* without needless quotes. Raises `Refused` with *refusal*.

    A local part that needs its quotes is refused: mail servers disagree where it ends. With *qualified* the domain
    must be complete (RFC 6409 4.2).
    """
    local, at, domain = _unquoted(path).removesuffix(".").rpartition("@")
    if not path.isascii() and not smtputf8:
        raise Refused(refusals.NOT_ASCII)
    if not _LOCAL.fullmatch(local) or len(local) > MAX_LOCAL_PART_LENGTH or len(path) > MAX_PATH_LENGTH:
        raise Refused(refusal)
    if qualified and not _is_qualified(domain):
        raise Refused(refusal)
    if not qualified and not re.fullmatch(r"[\w.-]+|" + _LITERAL.pattern, domain):
        raise Refused(refusal)
    return f"{local}{at}{domain}"


def _is_qualified(domain: str) -> bool:
    if _LITERAL.fullmatch(domain):
        return True
    return bool(_DOMAIN.fullmatch(domain)) and not _NUMBERS.fullmatch(domain)


def _unquoted(path: str) -> str:
    """Return *path* without the quotes of its local part, if they quote only what needs no quotes."""
    quoted = re.match(rf"({_QUOTED})@", path)
    if quoted is None:
        return path
    inside = re.sub(r"\\(.)", r"\1", quoted[1][1:-1])
    return f"{inside}{path[quoted.end() - 1 :]}" if _LOCAL.fullmatch(inside) else path
