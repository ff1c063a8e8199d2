"""What all groups of settings share: the prefix, the error, and how values are written in the environment."""

import json
import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mailsettings.domain.listening import ListenAddress
from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.domain.values import is_secure_url

PREFIX = "MAILSETTINGS_"


class SettingsInvalid(Exception):
    """A setting is unknown or malformed; `str()` names it and does not repeat its value."""


class SettingsGroup(BaseSettings):
    """Some settings. Each field is the environment variable of its name in capitals, with the prefix before it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )


def split_at_commas(text: str) -> list[str]:
    """Return the parts of *text* between commas, without those that are empty."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _parts(value: object) -> object:
    return split_at_commas(value) if isinstance(value, str) else value


def _listen_address(value: object) -> object:
    return ListenAddress.parse(value) if isinstance(value, str) else value


def _claim_path(value: object) -> object:
    r"""Dots go into objects; `\.` is a dot in a name, and a name that is a web address is one name.

    A JSON array has the names as they are, for a claim inside an object with a web address as its name.
    """
    path = value
    if isinstance(value, str):
        path = _names(value)
    if not isinstance(path, list | tuple) or not path or not all(isinstance(name, str) and name for name in path):
        raise ValueError("it must be the name of a claim, or several with dots between, or a list of names")
    return path


def _names(text: str) -> object:
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return [text] if text.startswith(("https://", "http://")) else _unescaped(text, ".")


def require_issuer_url(issuer: str) -> str:
    """Return *issuer* if it can be an OpenID Connect issuer. Raises `ValueError`."""
    # OpenID Connect Discovery 3: an issuer has no query. Braces are a placeholder that someone forgot.
    if not is_secure_url(issuer) or set(issuer) & set("?{}"):
        raise ValueError("it must be an https address, or an http one of loopback, without a query")
    return issuer


def _pairs(value: object) -> object:
    r"""`claim value=grant`, with commas between; `\,` is a comma in a value, and a value may have `=` in it."""
    if not isinstance(value, str):
        return value
    pairs = [part.rpartition("=")[::2] for part in _unescaped(value, ",") if part.strip()]
    if not all(claim.strip() and grant.strip() for claim, grant in pairs):
        raise ValueError("it must be like role=permission, with commas between")
    return [(claim.strip(), grant.strip()) for claim, grant in pairs]


def _unescaped(text: str, separator: str) -> list[str]:
    parts = re.split(rf"(?<!\\){re.escape(separator)}", text)
    return [part.replace(f"\\{separator}", separator) for part in parts]


def _seconds(value: object) -> object:
    """`90` or `90s`, `15m`, `2h`, `1d`; nothing else is a number of seconds."""
    written = re.fullmatch(r"([0-9]{1,6})([smhd]?)", value.strip()) if isinstance(value, str) else None
    if written is None:
        raise ValueError("it must be a time like 90, 15m, 2h or 1d")
    return int(written[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[written[2]]


Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
HostName = Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$")]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_parts)]
HostNames = Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_parts)]
Ports = Annotated[tuple[Port, ...], NoDecode, BeforeValidator(_parts)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
ClaimPath = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_claim_path)]
Address = Annotated[ListenAddress, NoDecode, BeforeValidator(_listen_address)]
Seconds = Annotated[int, Field(ge=60, le=604800), BeforeValidator(_seconds)]
Pairs = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_pairs)]
