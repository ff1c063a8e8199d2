"""Clients that public generators make of the OpenAPI document compile strictly and pass a whole flow.

The flows are in `flows`: log in; put, get, test and delete the mail server of one API; create, list, update, read,
test and delete settings of the other; a test that fails; and an error in the shape of each API.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.external_programs import ROOT, TOOLS, program
from support.processes import clean_environment, free_port, serving
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN

DOCUMENT = ROOT / "docs" / "openapi" / "openapi.json"
FLOWS = Path(__file__).parent / "flows"
DISCOVERY = TOKEN.replace("connect/token", ".well-known/openid-configuration")
SECONDS = 600
MAILS = 2
"""One for each API."""


class CatchAll:
    """Accepts every mail."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.recipients += map(str, envelope.rcpt_tos)
        return "250 2.0.0 Ok"


@dataclass
class Peers:
    """A running service and a mail server; `environment` tells a flow where both are."""

    environment: Mapping[str, str]
    mails: CatchAll


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    mails = CatchAll()
    smtp = Controller(mails, hostname="127.0.0.1", port=free_port())
    smtp.start()
    try:
        with serving(clean_environment(tmp_path / "data"), "--dev") as (url, _):
            told = {"BASE_URL": url, "SMTP_PORT": str(smtp.port), "CLOSED_PORT": str(free_port())}
            yield Peers({**os.environ, **told, "PASSWORD": "correct horse"}, mails)
    finally:
        smtp.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "client"
    made.mkdir()
    return made


Run = Callable[..., str]


@pytest.fixture
def run(folder: Path, peers: Peers) -> Run:
    """Run a program in the client's folder; fail with what it wrote where it ends with another status than 0."""

    def run(*command: str | Path, **environment: str) -> str:
        ended = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env={**peers.environment, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    return run


def openapi_generator(run: Run, target: str, output: str, *options: str) -> None:
    tool = program("openapi-generator")
    run(tool, "generate", "-i", DOCUMENT, "-g", target, "-o", output, *options)


def compiled(run: Run, folder: Path, flow: str) -> Path:
    """The program that TypeScript makes of *flow* and what was generated."""
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    shutil.copy(FLOWS / flow, folder)
    kind = ("--target", "es2022", "--module", "node16", "--lib", "es2022,dom,dom.iterable", "--types", "node")
    run(program("tsc"), "--strict", "--noEmitOnError", *kind, "--outDir", "out", flow)
    return folder / "out" / Path(flow).with_suffix(".js")


def test_openapi_python_client(run: Run, folder: Path, peers: Peers) -> None:
    tool = program("openapi-python-client")
    path = f"{Path(tool).parent}{os.pathsep}{os.environ['PATH']}"  # it formats with ruff, which is beside it
    output = folder / "generated"
    run(
        tool,
        "generate",
        "--path",
        DOCUMENT,
        "--output-path",
        output,
        "--meta",
        "none",
        "--fail-on-warning",
        PATH=path,
    )
    flow = shutil.copy(FLOWS / "openapi_python_client_flow.py", folder)
    python = Path(tool).with_name("python")
    # All but generated/client.py, which is the same for every document and says too little about `__exit__`.
    run(python, "-m", "mypy", "--strict", "--follow-imports=silent", flow, "generated/api", "generated/models")
    run(python, flow)

    assert len(peers.mails.recipients) == MAILS


def test_openapi_generator_for_python(run: Run, folder: Path, peers: Peers) -> None:
    openapi_generator(run, "python", ".")
    flow = shutil.copy(FLOWS / "openapi_generator_flow.py", folder)
    python = Path(program("openapi-generator")).with_name("python")
    # The generated code has no annotations that hold under --strict; its use has.
    run(
        python,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--allow-untyped-calls",
        "--implicit-reexport",
        flow,
    )
    run(python, flow)

    assert len(peers.mails.recipients) == MAILS


@pytest.mark.needs("node")
def test_openapi_generator_for_typescript_fetch(run: Run, folder: Path, peers: Peers) -> None:
    openapi_generator(run, "typescript-fetch", "generated")
    run(program("node"), compiled(run, folder, "typescript_fetch.ts"))

    assert len(peers.mails.recipients) == MAILS


def test_openapi_generator_for_java(run: Run, folder: Path, peers: Peers) -> None:
    javac, java = program("javac"), program("java")
    libraries = [program(name) for name in ("httpmime.jar", "geronimo-annotation.jar")]
    openapi_generator(
        run, "java", "generated", "--library", "native", "--additional-properties", "openApiNullable=false"
    )
    # The generator's own archive holds Jackson.
    archive = next(Path(program("openapi-generator")).parents[1].rglob("openapi-generator.jar"))
    classes = os.pathsep.join([str(archive), *libraries, "classes"])
    sources = sorted((folder / "generated" / "src" / "main" / "java").rglob("*.java"))
    run(
        javac,
        "-Xlint:all,-processing,-classfile,-path,-serial,-deprecation",
        "-Werror",
        "-cp",
        classes,
        "-d",
        "classes",
        *sources,
        FLOWS / "Flow.java",
    )
    run(java, "-cp", classes, "Flow")

    assert len(peers.mails.recipients) == MAILS


@pytest.mark.needs("node")
def test_openapi_typescript(run: Run, folder: Path, peers: Peers) -> None:
    run(program("openapi-typescript"), DOCUMENT, "-o", "generated/schema.d.ts")
    run(program("node"), compiled(run, folder, "openapi_typescript.ts"))

    assert len(peers.mails.recipients) == MAILS


@pytest.mark.needs("node")
def test_orval(run: Run, folder: Path, peers: Peers) -> None:
    run(program("orval"), "--input", DOCUMENT, "--output", "generated/client.ts", "--client", "fetch")
    run(program("node"), compiled(run, folder, "orval.ts"))

    assert len(peers.mails.recipients) == MAILS


@pytest.fixture
def proxy(peers: Peers, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of prism's proxy, which refuses what the document does not allow, in requests and answers."""
    port, log = free_port(), tmp_path / "prism.log"
    upstream = peers.environment["BASE_URL"]
    command = [program("prism"), "proxy", str(DOCUMENT), upstream, "--port", str(port), "--errors"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        while "is listening" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


@pytest.mark.needs("node")
def test_prism_finds_no_difference_between_document_and_answers(proxy: httpx.Client, peers: Peers) -> None:
    form = {"grant_type": "password", "username": "admin", "password": peers.environment["PASSWORD"]}
    token = proxy.post(TOKEN, data=form).json()["access_token"]
    proxy.headers["Authorization"] = f"Bearer {token}"
    port, closed = (int(peers.environment[name]) for name in ("SMTP_PORT", "CLOSED_PORT"))
    oracle = {
        "host": "127.0.0.1",
        "port": port,
        "sender": {"displayName": "Reports", "emailAddress": "scans@example.org"},
        "auth": {"authType": "NO_AUTH"},
        "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
    }
    receiver = "receiver@example.org"
    checkmarx = {"host": "127.0.0.1", "port": port, "fromAddress": "scans@example.org"}
    test = f"{SMTP_SETTINGS}/testconnection"

    def send(method: str, path: str, json: object = None, **headers: str) -> int:
        answer = proxy.request(method, path, json=json, headers=headers)
        assert "sl-violations" not in answer.headers, answer.headers["sl-violations"]
        return answer.status_code

    assert proxy.put(MAIL_SERVER, json={**oracle, "port": 70000}).status_code == 422  # prism's own answer
    assert [
        send("GET", MAIL_SERVER),
        send("PUT", MAIL_SERVER, oracle),
        send("GET", MAIL_SERVER),
        send("GET", MAIL_SERVER, **{"If-None-Match": "*"}),
        send("POST", f"{MAIL_SERVER}/actions/test", {"recipient": receiver}),
        send("POST", f"{MAIL_SERVER}/actions/test"),
        send("DELETE", MAIL_SERVER),
    ] == [404, 200, 200, 304, 200, 200, 200]
    created = proxy.post(SMTP_SETTINGS, json=checkmarx)
    one = f"{SMTP_SETTINGS}/{created.headers['Location'].rpartition('/')[2]}"
    assert [
        created.status_code,
        send("GET", SMTP_SETTINGS),
        send("PUT", one, checkmarx),
        send("GET", one),
        send("POST", test, {**checkmarx, "recieverEmail": receiver}),
        send("POST", test, checkmarx, Prefer="return=representation"),
        send("POST", test, {**checkmarx, "port": closed}),
        send("DELETE", one),
    ] == [201, 200, 204, 200, 200, 200, 400, 204]
    assert [send("GET", path) for path in (DISCOVERY, f"{DISCOVERY}/jwks", "/audit", "/metrics")] == [200] * 4
    assert len(peers.mails.recipients) == MAILS
