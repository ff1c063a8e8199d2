"""A connection to a submission server: connecting, encryption, commands and replies."""

import os
import socket
import ssl
import time

from mailsettings.sendmail.config_file import Config
from mailsettings.sendmail.failure import CONFIG, TRY_LATER, UNAVAILABLE, Failed

_CONNECT_SECONDS = 30
_MAX_LINE = 65536
_MAX_LINES = 500
_LOOPBACK = ("127.", "::1", "::ffff:127.")


class Reply:
    """A reply with all its lines; *text* is on one line and has no control characters."""

    def __init__(self, code: int, lines: list[str]) -> None:
        self.code = code
        self.lines = lines
        self.text = f"{code} " + " ".join(lines)

    @property
    def is_temporary(self) -> bool:
        """Whether the same command may work later."""
        return not 500 <= self.code < 600  # noqa: PLR2004 - RFC 5321 4.2.1


class Connection:
    """A connection on which the server has greeted, and that is encrypted as the settings say."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._heard = b""
        self._hidden = [config.secret] if config.secret else []
        self.offers = dict[str, str]()
        self.socket = _connected(config)
        try:
            self._begin()
        except Exception:
            self.socket.close()
            raise

    def _begin(self) -> None:
        """Wait for the greeting, encrypt, and learn what the server offers."""
        if self._config.security == "implicit-tls":
            self._encrypt()
        self.expect(self.read(), 220, "did not accept the connection")
        self.offers = self._ehlo()
        if self._config.security == "starttls":
            self._start_tls()

    def ask(self, command: bytes) -> Reply:
        """Send a command, and return its reply."""
        self.send(command + b"\r\n")
        return self.read()

    def hide(self, text: bytes) -> None:
        """Replace *text* in all replies: a server may repeat what it was sent."""
        self._hidden.append(text.decode("latin-1"))

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.settimeout(self._config.timeout)
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise Failed(TRY_LATER, f"{self._name} takes no more data") from None

    def read(self) -> Reply:
        """Return the next reply, or raise `Failed` if it does not come in time."""
        lines, deadline = list[str](), time.monotonic() + self._config.timeout
        while True:
            line = self._line(deadline)
            if not line[:3].isdigit() or line[3:4] not in {"", " ", "-"}:
                raise Failed(UNAVAILABLE, f"{self._name} does not speak SMTP")
            lines.append(line[4:])
            if len(lines) > _MAX_LINES:
                raise Failed(UNAVAILABLE, f"{self._name} sends a reply without end")
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines)

    def expect(self, reply: Reply, code: int, what: str, permanent: int = UNAVAILABLE) -> None:
        """Raise `Failed` unless *reply* has *code*; *permanent* is the exit code for a permanent refusal."""
        if reply.code != code:
            raise Failed(TRY_LATER if reply.is_temporary else permanent, f"{self._name} {what}: {reply.text}")

    def quit(self) -> None:
        """End the conversation; what happens now changes nothing for the message."""
        try:  # noqa: SIM105 - contextlib is one more import for every mail
            self.ask(b"QUIT")
        except (OSError, Failed):
            pass
        self.socket.close()

    @property
    def _name(self) -> str:
        return f"the mail server {self._config.host}:{self._config.port}"

    def _ehlo(self) -> dict[str, str]:
        """Return the offered extensions, each with its parameters."""
        reply = self.ask(b"EHLO " + _own_name(self.socket))
        self.expect(reply, 250, "rejected EHLO")
        words = [line.upper().partition(" ") for line in reply.lines[1:]]
        return {keyword: parameters for keyword, _, parameters in words}

    def _start_tls(self) -> None:
        if "STARTTLS" not in self.offers:
            raise Failed(UNAVAILABLE, f"{self._name} offers no STARTTLS, and nothing is sent without encryption")
        self.expect(self.ask(b"STARTTLS"), 220, "rejected STARTTLS")
        if self._heard:  # such bytes could come from an attacker on the way (CVE-2011-0411)
            raise Failed(UNAVAILABLE, f"{self._name} sent more than its reply to STARTTLS")
        self._encrypt()
        self.offers = self._ehlo()

    def _encrypt(self) -> None:
        context = _context(self._config.ca_file)
        self.socket.settimeout(self._config.timeout)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=_host(self._config).rstrip(b"."))
        except ssl.SSLCertVerificationError as error:
            advice = "check host, and set ca_file to the certificate of its authority"
            raise Failed(
                CONFIG, f"the certificate of {self._name} is not trusted ({error.verify_message}): {advice}"
            ) from None
        except ssl.SSLError as error:
            advice = "check port and security"
            raise Failed(UNAVAILABLE, f"no TLS with {self._name} ({error.reason}): {advice}") from None
        except OSError as error:
            raise Failed(TRY_LATER, f"no TLS with {self._name}: {error.strerror or error}") from None

    def _line(self, deadline: float) -> str:
        """Return the next line of the server, without secrets and control characters."""
        while b"\n" not in self._heard:
            self._heard += self._received(deadline)
            if len(self._heard) > _MAX_LINE:
                raise Failed(UNAVAILABLE, f"{self._name} sends a reply without end")
        raw, _, self._heard = self._heard.partition(b"\n")
        line = raw.decode("latin-1").rstrip("\r")
        for hidden in self._hidden:
            line = line.replace(hidden, "***")
        return "".join(character if character.isprintable() else " " for character in line)

    def _received(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        try:
            self.socket.settimeout(max(left, 0.001))
            data = self.socket.recv(4096)
        except TimeoutError:
            raise Failed(TRY_LATER, f"{self._name} does not answer") from None
        except OSError as error:
            raise Failed(TRY_LATER, f"{self._name} broke the connection: {error.strerror}") from None
        if not data:
            raise Failed(TRY_LATER, f"{self._name} closed the connection")
        return data


def _connected(config: Config) -> socket.socket:
    """Return a connection to the first address that accepts it."""
    where, failure = f"{config.host}:{config.port}", ""
    try:
        found = socket.getaddrinfo(_host(config), config.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failed(TRY_LATER, f"cannot resolve {config.host}: {error}") from None
    for family, kind, protocol, _, address in found:
        if config.security == "none" and not str(address[0]).startswith(_LOOPBACK):
            raise Failed(CONFIG, f"{config.host} is not this machine: security = none is for loopback only")
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(min(_CONNECT_SECONDS, config.timeout))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error.strerror or "no answer"
        else:
            return connection
    raise Failed(TRY_LATER, f"cannot connect to {where}: {failure}")


def _host(config: Config) -> bytes:
    """Return the host in ASCII: for a text, Python loads a codec that costs a millisecond."""
    return config.host.encode() if config.host.isascii() else config.host.encode("idna")


def _context(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts *ca_file*, or the authorities of the system.

    A folder of authorities costs nothing to load; the file with all of them costs 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # ca_file may be the certificate of the server itself
    paths = ssl.get_default_verify_paths()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_verify_locations(capath=paths.openssl_capath)
            if not _has_authorities(paths.openssl_capath):
                context.load_default_certs()
    except (OSError, ValueError) as error:
        raise Failed(CONFIG, f"cannot use ca_file {ca_file}: {error}") from None
    return context


def _has_authorities(folder: str) -> bool:
    """Return whether the folder has certificates by their hash, as `openssl rehash` makes them."""
    return os.path.isdir(folder) and any(name.endswith(".0") for name in os.listdir(folder))  # noqa: PTH112, PTH208 - pathlib is costly


def _own_name(connection: socket.socket) -> bytes:
    """Return the name for EHLO: that of this machine if it is qualified, or its address (RFC 5321 4.1.3)."""
    name = socket.gethostname()
    if name.isascii() and "." in name.strip("."):
        return name.encode()
    address = connection.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]".encode() if ":" in address else f"[{address}]".encode()
