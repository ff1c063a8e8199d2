"""Clients that public generators make of the OpenAPI document compile strictly and pass a whole flow.

The flows are in `flows`: log in; put, get, test and delete the mail server of one API; create, list, update, read,
test and delete settings of the other; a test that fails; and an error in the shape of each API.

The flows in `flows/v1` use the API `/v1`: each writes a line for each step, and `steps.txt` has these lines.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.external_programs import ROOT, program
from support.generated_clients import SECONDS, GeneratedClient
from support.peers import Peers
from support.processes import free_port
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN

DOCUMENT = ROOT / "docs" / "openapi" / "openapi.json"
V1 = ROOT / "docs" / "openapi" / "v1.json"
FLOWS = Path(__file__).parent / "flows"
DISCOVERY = TOKEN.replace("connect/token", ".well-known/openid-configuration")
MAILS = 2
"""One for each API."""

Generate = Callable[[GeneratedClient], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "client"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    "generate",
    [
        GeneratedClient.by_openapi_python_client,
        GeneratedClient.by_openapi_generator_for_python,
        GeneratedClient.by_openapi_generator_for_typescript_fetch,
        GeneratedClient.by_openapi_generator_for_java,
        GeneratedClient.by_openapi_typescript,
        GeneratedClient.by_orval,
    ],
)
def test_a_generated_client_uses_both_vendors_apis(generate: Generate, folder: Path, peers: Peers) -> None:
    generate(GeneratedClient(DOCUMENT, FLOWS, folder, peers.environment))

    assert len(peers.mails.recipients) == MAILS


@pytest.mark.parametrize(
    "generate",
    [
        GeneratedClient.by_openapi_python_client,
        GeneratedClient.by_openapi_generator_for_python,
        GeneratedClient.by_openapi_generator_for_typescript_fetch,
        GeneratedClient.by_openapi_generator_for_java,
        GeneratedClient.by_openapi_generator_for_go,
        GeneratedClient.by_openapi_typescript,
    ],
)
def test_a_generated_client_of_v1_passes_all_steps(generate: Generate, folder: Path, peers: Peers) -> None:
    flows = FLOWS / "v1"
    written = generate(GeneratedClient(V1, flows, folder, peers.environment))

    assert written.splitlines() == (flows / "steps.txt").read_text().splitlines()
    assert peers.mails.recipients == ["receiver@example.org"]


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
