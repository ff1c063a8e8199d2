"""Measure the structure of the code: sizes, protocols, folders, and the files that a request runs through.

    .venv/bin/python scripts/measure.py [PACKAGE]

PACKAGE is `src/mailsettings` by default; name another checkout's folder to compare two versions.
"""

import argparse
import ast
import asyncio
import io
import logging
import os
import re
import subprocess
import sys
import threading
import tokenize
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Self

import httpx
from aiosmtpd.smtp import SMTP, AuthResult
from sqlalchemy import Engine, event

Row = tuple[str, str]
Send = Callable[[httpx.AsyncClient], Coroutine[Any, Any, httpx.Response]]
LOGIN = "/cxrestapi/auth/identity/connect/token"
MAIL_SERVER = "/api/20210901/system/mail/server"
TEST = "/cxrestapi/auth/SMTPSettings/testconnection"
AUTHENTICATE = "by_token"
"""The function that checks a bearer token."""


def sizes(package: Path) -> Iterator[Row]:
    """Yield the figures of the source text."""
    texts = {path: path.read_text() for path in sorted(package.rglob("*.py"))}
    nodes = [node for text in texts.values() for node in ast.walk(ast.parse(text))]
    files = [len(text.splitlines()) for text in texts.values()]
    functions = [_length(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    folders = Counter(path.parent.relative_to(package) for path in texts if path.name != "__init__.py")
    comments, code = map(sum, zip(*map(_comments_and_code, texts.values()), strict=True))
    largest, modules = folders.most_common(1)[0]
    yield "modules", str(len(texts))
    yield "lines", f"{sum(files):,}"
    yield "lines of a file: median / p90 / max", _spread(files)
    yield "lines of a function: median / p90 / max", _spread(functions)
    yield "comments per 100 lines of code", f"{100 * comments / code:.1f}"
    yield "Protocols and ABCs", str(sum(map(_is_abstract, nodes)))
    yield "modules in the largest folder", f"{modules} ({largest})"


def _spread(values: Sequence[int]) -> str:
    ninth = quantiles(values, n=10, method="inclusive")[-1]
    return f"{median(values):.0f} / {ninth:.0f} / {max(values)}"


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from `def` to the end, without those of the docstring."""
    docstring = 0 if ast.get_docstring(function) is None else len(_lines(function.body[0]))
    return len(_lines(function)) - docstring


def _comments_and_code(text: str) -> tuple[int, int]:
    """Return the number of comments, and of lines with code: no comment, docstring or blank line."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    prose = {line for node in strings if isinstance(node.value, ast.Constant) for line in _lines(node)}
    code = {
        line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)
    }
    return sum(token.type == tokenize.COMMENT for token in tokens), len(code - prose)


_NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def _lines(node: ast.expr | ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_abstract(node: ast.AST) -> bool:
    """Return whether *node* is a class with `Protocol` or `ABC` among its bases."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return any(re.match(r"(?:\w+\.)?(?:Protocol|ABC)\b", ast.unparse(base)) for base in bases)


class Trace:
    """Records what one request runs through.

    A file counts when one of its functions is called, in any thread. A file counts for the token check when the
    function `AUTHENTICATE` is among the callers. Statements are those sent to the database, and the commits.
    """

    def __init__(self, package: Path) -> None:
        """Record files below *package*."""
        self._root = f"{package}{os.sep}"
        self.files: set[str] = set()
        self.token_check: set[str] = set()
        self.statements = 0

    def __enter__(self) -> Self:
        """Start recording."""
        event.listen(Engine, "before_cursor_execute", self._sent)
        event.listen(Engine, "commit", self._sent)
        threading.setprofile(self._called)
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        sys.setprofile(None)
        threading.setprofile(None)
        event.remove(Engine, "before_cursor_execute", self._sent)
        event.remove(Engine, "commit", self._sent)

    def _sent(self, *_: object) -> None:
        self.statements += 1

    def _called(self, frame: FrameType, kind: str, _: object) -> None:
        name = frame.f_code.co_filename
        if kind == "call" and name.startswith(self._root):
            self.files.add(name)
            if any(caller.f_code.co_name == AUTHENTICATE for caller in _callers(frame)):
                self.token_check.add(name)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


async def requests(package: Path) -> Sequence[Row]:
    """Return the figures of a PUT that replaces the server, and of a connection test with a login that succeeds.

    Both run on a SQLite store in a temporary folder, with the token of an account in the store.
    """
    async with _service(package) as client, _mail_server() as port:
        put = await _trace(package, client, lambda http: http.put(MAIL_SERVER, json=_server()))
        test = await _trace(package, client, lambda http: http.post(TEST, json=_settings(port)))
    return (
        ("files of an Oracle PUT / testconnection", f"{len(put.files)} / {len(test.files)}"),
        ("files of a token check", str(len(put.token_check))),
        ("statements of an Oracle PUT", str(put.statements)),
    )


async def _trace(package: Path, client: httpx.AsyncClient, send: Send) -> Trace:
    """Trace the second of two equal requests, so that nothing is loaded or created for the first time."""
    (await send(client)).raise_for_status()
    with Trace(package) as trace:
        response = await send(client)
    response.raise_for_status()
    return trace


def _server() -> object:
    """Return the document of a server, each time with another password."""
    tls = {"certificateType": "DEFAULT_TLS_CERTIFICATE"}
    return {
        "host": "mail.example.org",
        "port": 587,
        "sender": {"displayName": "Reports", "emailAddress": "reports@example.com"},
        "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": "reports", "password": os.urandom(8).hex()},
        "connectionSecurity": {
            "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
            "tlsCertificateDetails": tls,
        },
    }


def _settings(port: int) -> object:
    return {
        "host": "127.0.0.1",
        "port": port,
        "encryptionType": "None",
        "username": "scans",
        "password": "correct horse",
        "fromAddress": "scans@example.com",
        "recieverEmail": "me@example.com",
    }


@asynccontextmanager
async def _service(package: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application of *package*, with the token of a new account."""
    with TemporaryDirectory() as folder:
        own = {"DATA_DIR": folder, "DEV": "true", "SMTP_ALLOW_CLEARTEXT_LOGIN": "true", "LOG_LEVEL": "error"}
        os.environ |= {f"MAILSETTINGS_{name}": value for name, value in own.items()}
        os.environ["PYTHONPATH"] = str(package.parent)
        sys.path.insert(0, str(package.parent))
        _run("migrate")
        added = _run("client", "add", "measure", "--permission", "manage-system-settings")
        app = import_module("mailsettings.bootstrap.service").service_from_environment()
        logging.getLogger("mailsettings").setLevel(logging.ERROR)
        transport = httpx.ASGITransport(app)
        async with (
            _lifespan(app),
            httpx.AsyncClient(transport=transport, base_url="http://measure.test") as client,
        ):
            client.headers["Authorization"] = f"Bearer {await _token(client, added)}"
            yield client


async def _token(client: httpx.AsyncClient, added: str) -> str:
    """Log in with the secret that the command printed."""
    (secret,) = re.findall(r"\S{30,}", added)
    form = {"grant_type": "client_credentials", "client_id": "measure", "client_secret": secret}
    answer = (await client.post(LOGIN, data=form)).raise_for_status()
    return str(answer.json()["access_token"])


def _run(*command: str) -> str:
    return subprocess.check_output([sys.executable, "-m", "mailsettings", *command], text=True)


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    """Start and end *app* as a server does."""
    to_app: asyncio.Queue[object] = asyncio.Queue()
    from_app: asyncio.Queue[object] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await from_app.get()
    yield
    await to_app.put({"type": "lifespan.shutdown"})
    await running


class _AcceptAll:
    async def handle_DATA(self, *_: object) -> str:  # noqa: N802  # aiosmtpd looks it up by this name
        return "250 OK"


@asynccontextmanager
async def _mail_server() -> AsyncIterator[int]:
    """Yield the port of a mail server that accepts every login and every mail."""
    yes = AuthResult(success=True)
    protocol = lambda: SMTP(_AcceptAll(), auth_require_tls=False, authenticator=lambda *_: yes)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def main(rows: Iterable[Row]) -> None:
    """Print a table in Markdown."""
    print("| figure | value |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "package", nargs="?", type=Path, default=Path(__file__).parents[1] / "src" / "mailsettings"
    )
    chosen = parser.parse_args().package.resolve()
    main([*sizes(chosen), *asyncio.run(requests(chosen))])
