"""The service under fire: requests as bytes in, and what each of them broke of our promises out.

Everything is real but the prober, the password hashes and the tokens. The database is in the same state before
each request, so that a finding is found again by its request alone.
"""

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.types import Message, Scope

from mailsettings.domain.access import OPERATOR, Account
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.values import Secret
from mailsettings.store import migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.web.normalization import ascii_lower, routable_path, segments

from support.canary import Canary, text_of
from support.databases import KEY
from support.fakes import WORKS, PlainPasswords, ScriptedProber
from support.request_bodies import HOST, PORT, USERNAME
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, build_service

Headers = tuple[tuple[bytes, bytes], ...]

ACCOUNT = "admin"
_NO_LIMITS = ConnectionTestLimits(
    max_concurrent=10**6, max_concurrent_per_caller=10**6, max_per_minute_per_caller=10**9
)
# One of the two takes its paths in any case.
_DIALECTS = re.compile(r"/+(api/+20210901|(?ai:cxrestapi))(/.*)?", re.DOTALL)
_STATUSES = {200, 201, 204, 304, 307, 400, 401, 403, 404, 405, 409, 412, 413, 415}
_ERROR_MEMBERS = {
    "oracle": ({"code", "message"}, {"code", "message", "report"}),
    "checkmarx": ({"message"}, {"message", "report"}, {"message", "error"}),
    "token": ({"error"}, {"error", "error_description"}),
}
_REPLY = SMTPReply(535, "5.7.8", "no, <b>\u2028\ufffd")
_FAILS = ProbeReport(
    (StageReport(ProbeStage.AUTHENTICATE, Outcome.FAILED),),
    failure(FailureCode.AUTHENTICATION_FAILED, ProbeStage.AUTHENTICATE, reply=_REPLY),
)


@dataclass(frozen=True, slots=True)
class Raw:
    """A request as it is on the wire; `target` is the path with its query."""

    method: str
    target: bytes
    headers: Headers = ()
    body: bytes = b""
    probe_works: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, header names in lower case."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str:
        """The value of the first header called *name*, or nothing."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


@dataclass
class Target:
    """The service on a database in *folder*; `planted` is for requests to send, `stored` is there before."""

    folder: Path
    planted: Canary = field(default_factory=Canary)
    stored: Canary = field(default_factory=Canary)
    requests: int = 0
    by_status: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        file = self.folder / "fuzz.db"
        migrations.migrate(f"sqlite:///{file}")
        self._runner = asyncio.Runner()
        self._store = SQLStore(f"sqlite:///{file}", Sealer(KEY))
        self._prober = ScriptedProber()
        self._app = build_service(self._store, self._prober, limits=_NO_LIMITS)
        self._records: list[logging.LogRecord] = []
        self._runner.run(self._seed())
        self._database = _Snapshot(file)

    def close(self) -> None:
        """Give back the connections and the event loop."""
        self._database.close()
        self._runner.run(self._store.close())
        self._runner.close()

    def fire(self, raw: Raw) -> tuple[Answer, list[str]]:
        """The answer to *raw*, and every promise that it broke, in words."""
        self._database.restore()
        self._prober.asked.clear()
        self._prober.report = WORKS if raw.probe_works else _FAILS
        with self._listening() as records:
            answer = self._exchange(raw)
            changed = self._database.changed()
            shown = self._shown() if changed else []
        notes = self._database.notes()
        broken = [*_wrong(raw, answer), *self._leaks([answer, *shown], records, notes), *self._lent()]
        if changed and answer.status >= 400:
            broken.append("a refused request changed what is stored")
        return answer, broken

    async def _seed(self) -> None:
        login = PasswordAuthentication(USERNAME, Secret(self.stored.secret))
        sender = Sender("sender@example.org", "Sender")
        self._settings = MailServer(HOST, PORT, ConnectionSecurity.STARTTLS, sender, login)
        async with self._store.writing() as work:
            await work.mail_servers.add(self._settings, as_default=True)
        account = Account(ACCOUNT, frozenset({"admin"}))
        await ManageAccounts(self._store, PlainPasswords()).add(OPERATOR, account, "correct horse")

    def _exchange(self, raw: Raw) -> Answer:
        answer = self._runner.run(_asgi(self._app, raw))
        self.requests += 1
        self.by_status[answer.status] = self.by_status.get(answer.status, 0) + 1
        return answer

    def _shown(self) -> list[Answer]:
        """What the two APIs show of a change; these requests count too."""
        admin = ((b"authorization", b"Bearer admin"),)
        return [self._exchange(Raw("GET", path.encode(), admin)) for path in (MAIL_SERVER, SMTP_SETTINGS)]

    def _leaks(self, answers: Sequence[Answer], records: Sequence[logging.LogRecord], notes: str) -> Iterator[str]:
        said = b"\n".join(part for one in answers for pair in one.headers for part in pair)
        bodies = b"\n".join(one.body for one in answers)
        logged = "\n".join(map(text_of, records))
        for name, canary in (("sent", self.planted), ("stored", self.stored)):
            places = (("a header", said), ("a body", bodies), ("the log", logged), ("the audit log", notes))
            for place, content in places:
                if found := canary.found_in(content):
                    yield f"the {name} secret is in {place}, {', '.join(found)}"
        yield from (f"logged: {one.getMessage()[:80]}" for one in records if one.levelno >= logging.ERROR)

    def _lent(self) -> Iterator[str]:
        """The stored secret goes to the stored destination, and nowhere else."""
        for server, _recipient in self._prober.asked:
            secret = server.secret.reveal() if server.secret else ""
            if secret == self.stored.secret and server.destination() != self._settings.destination():
                yield "the stored secret would have been sent to another destination"

    @contextmanager
    def _listening(self) -> Iterator[list[logging.LogRecord]]:
        """Every record that is made inside the block, from DEBUG up."""
        records: list[logging.LogRecord] = []
        root = logging.getLogger()
        level, handlers = root.level, root.handlers
        # Nobody else need keep or print these.
        root.handlers = [_Keep(records)]
        root.setLevel(logging.DEBUG)
        try:
            yield records
        finally:
            root.handlers = handlers
            root.setLevel(level)


class _Keep(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._into = records

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record)


_TOLD = ("audit_entries", "idempotency_keys", "probe_admissions")
_NOTES = {*_TOLD, "audit_head", "known_neighbourhoods", "login_failures", "sealed_keys", "sealing_keys"}
"""What is written about refusals too, or about connection tests that failed."""


class _Snapshot:
    """All rows of the database as they were at first; a look that nothing was committed costs one PRAGMA."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")
        names = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self._tables = sorted(name for (name,) in names)
        self._first = self._rows()
        self._version = self._data_version()

    def close(self) -> None:
        self._connection.close()

    def changed(self) -> bool:
        """Whether any row of any table is not what it was, except for notes about refusals."""
        return self._data_version() != self._version and _kept(self._rows()) != _kept(self._first)

    def notes(self) -> str:
        """What was written about the last request, readable text only."""
        if self._data_version() == self._version:
            return ""
        return repr([self._connection.execute(f"SELECT * FROM {name}").fetchall() for name in _TOLD])

    def restore(self) -> None:
        """Put back every row; our own commit does not count as one, to ourselves."""
        if self._data_version() == self._version:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for table, rows in self._first.items():
            self._connection.execute(f"DELETE FROM {table}")
            for row in rows:
                self._connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
        self._connection.execute("COMMIT")
        self._version = self._data_version()

    def _data_version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self._connection.execute(f"SELECT * FROM {name}").fetchall() for name in self._tables}


def _kept(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    return {name: content for name, content in rows.items() if name not in _NOTES}


async def _asgi(app: Any, raw: Raw) -> Answer:
    """One request in the form that uvicorn gives it; whatever the application raises is a 500."""
    start: Message = {"status": 500, "headers": []}
    body = bytearray()
    todo = [{"type": "http.request", "body": raw.body, "more_body": False}]

    async def receive() -> Message:
        return todo.pop() if todo else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        start.update(message)
        body.extend(message.get("body", b""))

    try:
        await app(_scope(raw), receive, send)
    except Exception as error:  # noqa: BLE001  # Starlette answers 500 and raises on; the status tells
        logging.getLogger("fuzz").debug("raised %s", type(error).__name__)
    return Answer(start["status"], tuple(start["headers"]), bytes(body))


def _scope(raw: Raw) -> Scope:
    path, _, query = raw.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": raw.method,
        "root_path": "",
        "path": unquote(path.decode("ascii", "replace")),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"host", b"service.test"), (b"content-length", b"%d" % len(raw.body)), *raw.headers],
        "extensions": {},
    }


def _wrong(raw: Raw, answer: Answer) -> Iterator[str]:
    """What is wrong with *answer* whatever the request was about."""
    if answer.status not in _STATUSES:
        yield f"the status {answer.status}"
    path = routable_path(_scope(raw)["raw_path"])
    if answer.status < 400 or raw.method == "HEAD" or not _DIALECTS.fullmatch(path):
        return
    if not answer.header(b"content-type").startswith("application/json"):
        yield f"an error of type {answer.header(b'content-type')}"
    kind = "oracle" if path.lstrip("/").startswith("api/") else "checkmarx"
    shapes = _ERROR_MEMBERS["token" if segments(ascii_lower(path)) == segments(TOKEN) else kind]
    try:
        members = json.loads(answer.body)
    except ValueError:
        yield "an error that is no JSON"
        return
    if not isinstance(members, dict) or set(members) not in shapes or not all(members.values()):
        yield f"an error of another shape: {sorted(members)}"
