"""The settings of the program: a file of `key = value` lines, and the secret in it or in a file of its own."""

import os

from mailsettings.sendmail.addresses import is_local
from mailsettings.sendmail.failure import CONFIG, Failed

DEFAULT = "/etc/mailsettings/sendmail.conf"
VARIABLE = "MAILSETTINGS_SENDMAIL_CONF"
SECURITY = {"starttls": 587, "implicit-tls": 465, "none": 25}
"""The values of `security`, with the port of each."""
KEYS = frozenset(
    ("host", "port", "security", "ca_file", "user", "secret", "secret_file", "sender", "local_address", "timeout")
)
_MAX_BYTES = 65536
_OTHERS = 0o037
"""The rights that a file with a secret must not give: any to other users, and more than reading to the group."""
_WRITE_BY_OTHERS = 0o002


class Config:
    """Where to submit, as whom, and which address local names stand for."""

    def __init__(self, values: dict[str, str], path: str) -> None:
        self.host = values.get("host") or _required(path, "host")
        self.security = values.get("security", "starttls")
        if self.security not in SECURITY:
            raise Failed(CONFIG, f"{path}: security must be starttls, implicit-tls or none")
        self.port = _number(values, "port", SECURITY[self.security], 65535, path)
        self.timeout = _number(values, "timeout", 300, 3600, path)
        self.ca_file = values.get("ca_file", "")
        self.user = values.get("user", "")
        self.secret = values.get("secret", "")
        if bool(self.user) != bool(self.secret):
            raise Failed(CONFIG, f"{path}: user and secret (or secret_file) belong together")
        self.local_address = values.get("local_address", "")
        self.sender = values.get("sender") or self.local_address
        for key in ("local_address", "sender"):
            if values.get(key) and is_local(values[key].encode()):
                raise Failed(CONFIG, f"{path}: {key} must be an address with a domain")


def read(chosen: str | None) -> Config:
    """Return the settings in the *chosen* file, that of the environment, or the default file.

    A program with rights that its caller lacks reads the default file only: another file could send the secret
    that the caller cannot read to a host of the caller's choice.
    """
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        if chosen is not None:
            raise Failed(CONFIG, "the option -C is not allowed for a program with setuid or setgid")
        return _config(DEFAULT)
    return _config(chosen or os.environ.get(VARIABLE) or DEFAULT)


def _config(path: str) -> Config:
    text, mode = _content(path)
    values = _values(text, path)
    if "secret" in values:
        _require_private(path, mode)
    if "secret_file" in values:
        if "secret" in values:
            raise Failed(CONFIG, f"{path}: give secret or secret_file, not both")
        if mode & _WRITE_BY_OTHERS:
            raise Failed(CONFIG, f"{path} must not be writable for other users: chmod o-w {path}")
        secret, mode = _content(values["secret_file"])
        _require_private(values["secret_file"], mode)
        values["secret"] = secret.strip()
    return Config(values, path)


def _content(path: str) -> tuple[str, int]:
    """Return the text of a file, and its mode at the time of reading."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more than the rest of this module
            return file.read(_MAX_BYTES).decode(), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise Failed(CONFIG, f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failed(CONFIG, f"{path} is not UTF-8 text") from None


def _values(text: str, path: str) -> dict[str, str]:
    """Return the keys with their values. An error names the line only, which may be a misplaced secret."""
    values = dict[str, str]()
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not key or key.startswith("#"):
            continue
        if not equals or key not in KEYS:
            raise Failed(CONFIG, f"{path}, line {number}: the line must be KEY = VALUE, with one of {_known()}")
        if key in values:
            raise Failed(CONFIG, f"{path}, line {number}: {key} is there twice")
        values[key] = value
    return values


def _known() -> str:
    return ", ".join(sorted(KEYS))


def _require_private(path: str, mode: int) -> None:
    if mode & _OTHERS:
        raise Failed(CONFIG, f"{path} has a secret and the mode {mode & 0o777:04o}: chmod 0640 {path}")


def _required(path: str, key: str) -> str:
    raise Failed(CONFIG, f"{path}: {key} is missing")


def _number(values: dict[str, str], key: str, default: int, largest: int, path: str) -> int:
    text = values.get(key) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= largest):
        raise Failed(CONFIG, f"{path}: {key} must be a number from 1 to {largest}")
    return int(text)
