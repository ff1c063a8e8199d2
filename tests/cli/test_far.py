"""Commands at a service far away: who they trust, what they send, and what they say when it goes wrong."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result

from mailsettings.cli import main
from mailsettings.cli.client import far
from mailsettings.cli.command import TOKEN_VARIABLE, VARIABLES
from mailsettings.settings import PREFIX
from mailsettings.settings.model import COMMAND_LINE

CANARY = "canary-far-41d9"
PROBLEM = {"content-type": "application/problem+json"}
JSON = {"content-type": "application/json"}
EMPTY_PAGE: "Given" = (200, JSON, {"items": [], "next_cursor": None})
Given = tuple[int, Mapping[str, str], object]


@dataclass
class Stub:
    """A service that answers what a test wants, by the path of the request."""

    answers: dict[str, Given] = field(default_factory=dict)
    received: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            stub.received.append((self.path, dict(self.headers), body))
            status, headers, content = stub.answers.get(self.path.partition("?")[0], EMPTY_PAGE)
            encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(encoded))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = answer  # noqa: N815  # as the library calls them

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """A client that rejects a certificate ends the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    stub.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    with listening() as found:
        yield found


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\n")
    return file


def run(*arguments: object, **environment: str) -> Result:
    """Run a command; its secrets are in no output."""
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)
    assert CANARY not in ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def test_a_token_comes_from_a_file_or_a_variable(stub: Stub, secret_file: Path) -> None:
    run("server", "list", "--url", stub.url, "--token-file", secret_file)
    run("server", "list", MAILSETTINGS_URL=stub.url, MAILSETTINGS_TOKEN=CANARY)
    run("server", "list", MAILSETTINGS_URL=stub.url, MAILSETTINGS_TOKEN_FILE=str(secret_file))

    assert [headers["authorization"] for _, headers, _ in stub.received] == [f"Bearer {CANARY}"] * 3


def test_a_client_gets_its_token_with_its_secret(stub: Stub, secret_file: Path) -> None:
    stub.answers["/v1/token"] = (200, JSON, {"access_token": "the-token", "token_type": "Bearer"})
    ran = run("server", "list", "--url", stub.url, "--client-id", "robot", "--client-secret-file", secret_file)

    (_, _, form), (_, headers, _) = stub.received
    assert ran.exit_code == 0
    assert form == f"grant_type=client_credentials&client_id=robot&client_secret={CANARY}".encode()
    assert headers["authorization"] == "Bearer the-token"


def test_an_option_wins_over_a_variable(stub: Stub, secret_file: Path) -> None:
    robot = {"MAILSETTINGS_CLIENT_ID": "robot", "MAILSETTINGS_CLIENT_SECRET_FILE": str(secret_file)}
    ran = run(
        "--token-file", secret_file, "server", "list", "--url", stub.url, MAILSETTINGS_URL="https://x", **robot
    )

    assert (ran.exit_code, stub.received[0][1]["authorization"]) == (0, f"Bearer {CANARY}")


def test_every_page_of_a_list_is_printed(stub: Stub, secret_file: Path) -> None:
    pages = {"": ("a", "next one"), "next+one": ("b", None)}

    class Paged(dict[str, Given]):
        def get(self, path: str, default: Any = None) -> Any:
            cursor = stub.received[-1][0].rpartition("cursor=")[2] if "cursor=" in stub.received[-1][0] else ""
            name, following = pages[cursor]
            return (200, JSON, {"items": [{"name": name, "source": "s"}], "next_cursor": following})

    stub.answers = Paged()
    ran = run("server", "list", "-o", "json", "--url", stub.url, "--token-file", secret_file)

    assert [item["name"] for item in json.loads(ran.stdout)] == ["a", "b"]


REFUSALS: dict[str, tuple[Given, int, str]] = {
    "a rejected token": (
        (401, PROBLEM, {"title": "t", "detail": "The token has expired."}),
        4,
        "The token has expired.",
    ),
    "a missing permission": ((403, PROBLEM, {"detail": "It needs view-mail-settings."}), 4, "It needs view-"),
    "wrong fields": (
        (
            400,
            PROBLEM,
            {
                "detail": "Two fields are wrong.",
                "errors": [
                    {"pointer": "#/sender/address", "detail": "must be an address."},
                    {"parameter": "limit", "detail": "must be at most 500."},
                ],
            },
        ),
        4,
        "Error: sender.address: must be an address.\nlimit: must be at most 500.\n",
    ),
    "too many requests": (
        (429, {**PROBLEM, "retry-after": "7"}, {"detail": "Wait."}),
        4,
        "Try again in 7 seconds.",
    ),
    "a database that is away": ((503, PROBLEM, {"detail": "No database."}), 3, "No database."),
    "an error of the service": ((500, PROBLEM, {"detail": "It failed.", "request_id": "r1"}), 3, "at request r1"),
    "a redirect": ((307, {"location": "https://example.org/"}, b""), 3, "redirects"),
    "a page of a proxy": ((502, {"content-type": "text/html"}, b"<html>"), 3, "HTTP 502 with text/html"),
    "another service": ((404, JSON, {"detail": "Not Found"}), 3, "not an answer of mail-settings"),
    "a page that is no JSON": ((200, {"content-type": "text/html"}, b"<html>"), 3, "text/html instead of JSON"),
    "a list without items": ((200, JSON, {}), 3, "not a list of mail-settings"),
    "items that are no objects": ((200, JSON, {"items": ["x"], "next_cursor": None}), 3, "not a list of mail"),
    "JSON that is nested too deep": ((200, JSON, b"[" * 200_000), 3, "instead of JSON"),
    "errors that are no objects": ((400, PROBLEM, {"errors": ["x"], "detail": "It is wrong."}), 4, "It is wrong."),
    "an escape in a media type": ((200, {"content-type": "a\x1b[2Jb"}, b"x"), 3, "a\\x1b[2jb instead of JSON"),
    "a terminal escape": ((409, PROBLEM, {"detail": "a\x1b[2Jb"}), 4, "a\\x1b[2Jb"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_a_sentence_and_an_exit_code(stub: Stub, secret_file: Path, name: str) -> None:
    stub.answers["/v1/mail-servers"], code, sentence = REFUSALS[name]
    ran = run("server", "list", "--url", stub.url, "--token-file", secret_file)

    assert (ran.exit_code, ran.stdout) == (code, "")
    assert sentence in ran.stderr
    assert len(stub.received) == 1


def test_a_list_that_repeats_itself_ends(stub: Stub, secret_file: Path) -> None:
    stub.answers["/v1/mail-servers"] = (200, JSON, {"items": [], "next_cursor": "again"})
    ran = run("server", "list", "--url", stub.url, "--token-file", secret_file)

    assert (ran.exit_code, len(stub.received)) == (3, 2)
    assert "the same page twice" in ran.stderr


EVENTS = {"content-type": "text/event-stream"}


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (b"event: done\ndata: {\n\n", "sent an event that is not JSON"),
        (b'event: error\ndata: {"detail": "a\\u001b[2Jb"}\n\n', "a\\x1b[2Jb"),
    ],
)
def test_a_wrong_event_is_a_sentence(stub: Stub, secret_file: Path, events: bytes, sentence: str) -> None:
    stub.answers["/v1/mail-servers/relay/test"] = (200, EVENTS, events)
    ran = run("server", "test", "relay", "--url", stub.url, "--token-file", secret_file)

    assert ran.exit_code in {3, 4}
    assert sentence in ran.stderr


def test_an_endless_answer_ends(stub: Stub, secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "MAX_ANSWER_BYTES", 1000)
    stub.answers["/v1/mail-servers"] = (200, JSON, b"[" * 1001)
    ran = run("server", "list", "--url", stub.url, "--token-file", secret_file)

    assert ran.exit_code == 3
    assert "sent an answer of more than 1000 bytes" in ran.stderr


def test_a_token_beyond_ascii_is_refused_unseen(tmp_path: Path, stub: Stub) -> None:
    (tmp_path / "token").write_text(f"{CANARY}…", encoding="utf-8")
    ran = run("server", "list", "--url", stub.url, "--token-file", tmp_path / "token")

    assert (ran.exit_code, stub.received) == (2, [])
    assert "--token-file must hold an access token" in ran.stderr


def test_a_redirect_takes_the_token_nowhere(stub: Stub, secret_file: Path) -> None:
    with listening() as elsewhere:
        stub.answers["/v1/mail-servers"] = (308, {"location": f"{elsewhere.url}/v1/mail-servers"}, b"")
        run("server", "list", "--url", stub.url, "--token-file", secret_file)

    assert elsewhere.received == []


USAGES = {
    "plain HTTP to another machine": (["--url", "http://192.0.2.1"], "must begin with https:// unless"),
    "no address": (["--url", "mail.example.com"], "--url must be like https://"),
    "a name in the address": (["--url", f"https://me:{CANARY}@example.com"], "--url must be like https://"),
    "a query": (["--url", "https://example.com/?a=b"], "--url must be like https://"),
    "no such port": (["--url", "https://example.com:99999"], "--url must be like https://"),
    "no credentials": (["--url", "https://example.com"], "--url needs --token-file, or --client-id"),
    "half a client": (["--url", "https://example.com", "--client-id", "robot"], "go together"),
    "no token file": (
        ["--url", "https://example.com", "--token-file", "/nonexistent"],
        "cannot read /nonexistent",
    ),
    "no authorities": (
        ["--url", "https://example.com", "--token-file", "SECRET", "--ca-file", "SECRET"],
        "is not a readable file of certificates",
    ),
    "a token as an argument": (["--token", CANARY], "No such option '--token'"),
}


@pytest.mark.parametrize("name", USAGES)
def test_wrong_use_is_explained_and_sends_nothing(secret_file: Path, name: str) -> None:
    arguments, sentence = USAGES[name]
    ran = run("server", "list", *(str(secret_file) if word == "SECRET" else word for word in arguments))

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert sentence in ran.stderr


def test_a_service_that_is_away_is_named(secret_file: Path) -> None:
    with listening() as stub:
        url = stub.url
    ran = run("server", "list", "--url", url, "--token-file", secret_file)

    assert (ran.exit_code, ran.stderr) == (3, f"Error: Cannot reach {url}: Connection refused.\n")


def test_a_private_authority_is_trusted_by_its_file(tmp_path: Path, secret_file: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with listening(context) as stub:
        call = ["server", "list", "--url", stub.url, "--token-file", str(secret_file)]
        trusted = run(*call, "--ca-file", tmp_path / "ca.pem")
        by_variable = run(*call, MAILSETTINGS_CA_FILE=str(tmp_path / "ca.pem"))
        refused = run(*call)

    assert (trusted.exit_code, by_variable.exit_code, refused.exit_code) == (0, 0, 3)
    assert "give its certificate with --ca-file" in refused.stderr
    assert len(stub.received) == 2


LOCAL = {
    "backup": ["backup", "file"],
    "token": ["token", "--permission", "view-mail-settings"],
    "new encryption key": ["key", "encryption", "rotate"],
    "accepted log": ["audit", "accept"],
}


@pytest.mark.parametrize("name", LOCAL)
def test_a_command_of_this_machine_refuses_a_service(name: str) -> None:
    before, by_variable = run("--url", "https://x", *LOCAL[name]), run(*LOCAL[name], MAILSETTINGS_URL="https://x")

    assert (before.exit_code, by_variable.exit_code) == (2, 2)
    assert "works on the machine of the service only" in before.stderr
    assert "unset MAILSETTINGS_URL" in by_variable.stderr


def test_the_service_knows_the_variables_of_the_command_line() -> None:
    assert {name.removeprefix(PREFIX) for name in (*VARIABLES.values(), TOKEN_VARIABLE)} == COMMAND_LINE
