"""Call a running service over HTTPS, with the standard library alone.

Redirects are refused: they could lead a token to another host. A token goes over plain HTTP to this machine only.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlencode, urlsplit

import click

from mailsettings import __version__
from mailsettings.cli.client.client import Answer, Client
from mailsettings.cli.client.credentials import Credentials, chosen_credentials
from mailsettings.cli.client.problems import failure_of
from mailsettings.cli.command import UNREACHABLE, Failure, chosen

TIMEOUT_SECONDS = 60
"""For connecting and between two parts of an answer: a connection test sends at least a comment every 5 s."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The longest answer; a page of 500 mail servers has a hundredth of it."""
_IDLE_SECONDS = 2
"""A connection that idled longer may be closed by the service at this moment, so a new one is opened."""
_BLOCK = 65536


@contextmanager
def far_client() -> Iterator["Far"]:
    """Open the client of the shared options."""
    client = Far(_address(chosen("url") or ""), chosen_credentials(), _trust(chosen("ca_file")))
    try:
        yield client
    finally:
        client.close()


class Far(Client):
    """A service at an address; the first request gets a token if the credentials need it."""

    def __init__(self, address: SplitResult, credentials: Credentials, trust: ssl.SSLContext | None) -> None:
        self._address = address
        self._credentials = credentials
        self._trust = trust
        self._connection: HTTPConnection | None = None
        self._used_at = 0.0
        self._token: str | None = None

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request with the token."""
        if self._token is None:
            self._token = self._credentials.token or self._new_token()
        return self._send(method, target, {**headers, "authorization": f"Bearer {self._token}"}, body)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _new_token(self) -> str:
        """Get a token by the credentials (RFC 6749, 4.3 and 4.4)."""
        form = urlencode(self._credentials.form).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        answer = self._send("POST", "/v1/token", headers, form)
        content = b"".join(answer.chunks)
        if answer.status != 200:
            raise failure_of(answer.status, answer.headers, content)
        try:
            return str(json.loads(content)["access_token"])
        except (ValueError, KeyError, TypeError):
            raise Failure(f"{self._name} did not answer with a token.", UNREACHABLE) from None

    def _send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self._network_errors():
            response = self._response(method, self._address.path.rstrip("/") + target, headers, body)
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, self._chunks(response))

    def _response(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> HTTPResponse:
        # A POST is not repeated on a connection that the service closes meanwhile (RFC 9112 9.3.1).
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            self.close()
        if self._connection is None:
            self._connection = self._new_connection()
        self._used_at = time.monotonic()
        all_headers = {"user-agent": f"mailsettings/{__version__}", **headers}
        self._connection.request(method, target, body or None, all_headers)
        return self._connection.getresponse()

    def _new_connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._trust is None:
            return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        return HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=self._trust)

    def _chunks(self, response: HTTPResponse) -> Iterator[bytes]:
        with self._network_errors():
            size = 0
            while chunk := response.read1(_BLOCK):
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    self.close()
                    raise Failure(
                        f"{self._name} sent an answer of more than {MAX_ANSWER_BYTES} bytes.", UNREACHABLE
                    )
                yield chunk
            response.close()  # `read1` leaves a body of known length open, and the connection with it
        if response.will_close:
            self.close()

    @property
    def _name(self) -> str:
        return f"{self._address.scheme}://{self._address.netloc}"

    @contextmanager
    def _network_errors(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise Failure(
                f"{self._name} has a certificate that is not trusted: {error.verify_message}. "
                "For a private authority, give its certificate with --ca-file.",
                UNREACHABLE,
            ) from None
        except (OSError, HTTPException) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Failure(f"Cannot reach {self._name}: {reason}.", UNREACHABLE) from None


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        is_valid = address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is not a number, or half an IPv6 address
        is_valid = False
    if not is_valid or address.query or address.fragment or address.username is not None:
        raise click.UsageError("--url must be like https://mail-settings.example.com, without a name or a query.")
    if address.scheme == "http" and not _is_loopback(address.hostname or ""):
        raise click.UsageError("--url must begin with https:// unless the service is on this machine.")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3


def _trust(ca_file: str | None) -> ssl.SSLContext | None:
    if urlsplit(chosen("url") or "").scheme == "http":
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise click.UsageError(f"{ca_file} is not a readable file of certificates in PEM form: {error}.") from None
