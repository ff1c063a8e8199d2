"""`mailsettings probe`: any server, from anywhere, with no database; for people and, with --json, for programs."""

import asyncio
import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity

from smtp.cases import SITUATIONS
from smtp.cases.server import serving
from support import commands
from support.mutated_certificates import pem_of, with_version
from support.smtp_server import (
    AUTHORITY_PEM,
    USERNAME,
    Behaviour,
    real_server,
    says,
    scripted_server,
    stays_silent,
)
from support.timeouts import GUARD_SECONDS

CANARY = "canary-password-2c60"


async def run(
    home: Path, *arguments: str, password: str = "", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    environment |= {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "PYTHONIOENCODING": encoding}
    return await asyncio.to_thread(commands.run, environment, "probe", *arguments, stdin=f"{password}\n")


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    file = tmp_path / "authority.pem"
    file.write_text(AUTHORITY_PEM)
    return str(file)


@pytest.mark.parametrize("security", [ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS])
async def test_server_is_tested_with_login_and_mail_without_traces(
    tmp_path: Path, certificate: str, security: ConnectionSecurity
) -> None:
    options = [
        "--security",
        security,
        "--username",
        USERNAME,
        "--certificate",
        certificate,
        "--to",
        "a@example.com",
    ]
    async with real_server(Behaviour(security, CANARY)) as server:
        arguments = ["127.0.0.1", "--port", str(server.port), *options]
        told = await run(tmp_path / "home", *arguments, password=CANARY)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.endswith("The mail server works.\n")
    assert re.search(r"^ +TLSv1.3 ", told.stdout, re.MULTILINE)
    assert re.search(r"^authenticate +ok .*PLAIN", told.stdout, re.MULTILINE)
    assert len(server.messages) == 1
    assert CANARY not in told.stdout
    assert not (tmp_path / "home").exists()


async def test_the_wrong_security_is_named_with_what_to_set(tmp_path: Path) -> None:
    async with real_server(Behaviour(ConnectionSecurity.IMPLICIT_TLS)) as server:
        told = await run(tmp_path, "127.0.0.1", "--port", str(server.port), "--security", "none")

    assert told.returncode == 1
    assert "[wrong_connection_security]" in told.stdout
    assert "-> set --security to implicit-tls (now none)" in told.stdout
    assert "\x1b" not in told.stdout


async def test_json_is_for_programs(tmp_path: Path) -> None:
    told = await run(tmp_path, "127.0.0.1", "--port", "1", "--json")

    report = json.loads(told.stdout)
    assert (told.returncode, report["succeeded"], report["failure"]["code"]) == (1, False, "connection_refused")
    (address,) = report["stages"][1]["addresses"]
    assert (address["outcome"], address["problem"]) == ("failed", "refused")
    assert report["failure"]["changes"][0] | {"suggested": 0} == {"field": "port", "current": 1, "suggested": 0}


async def test_a_terminal_with_another_encoding_is_no_error(tmp_path: Path) -> None:
    refusal = "550 5.1.1 \N{SNOWMAN} \x1b[31m nobody".encode()
    async with scripted_server(says(b"220 hello", b"250 mail.example.org", b"250 OK", refusal)) as server:
        arguments = ["127.0.0.1", "--port", str(server.port), "--security", "none", "--to", "a@example.com"]
        told = await run(tmp_path, *arguments, encoding="latin-1")

    assert (told.returncode, told.stderr) == (1, "")
    assert "recipient_refused" in told.stdout


@pytest.mark.parametrize("host", ["", "not a host", "127.1"])
async def test_an_invalid_host_is_reported_in_a_sentence(tmp_path: Path, host: str) -> None:
    told = await run(tmp_path, host)

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("Error: host ")


async def test_an_unreadable_certificate_is_reported_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "version-18.pem"
    file.write_text(pem_of(with_version(17)))
    told = await run(tmp_path / "home", "mail.example.org", "--certificate", str(file))

    assert told.returncode == 2
    assert told.stderr == "Error: certificate holds a certificate of an unknown version.\n"


async def test_certificate_has_a_fingerprint_and_its_pem_on_request(tmp_path: Path, certificate: str) -> None:
    async with real_server(Behaviour(ConnectionSecurity.IMPLICIT_TLS)) as server:
        arguments = [
            "127.0.0.1",
            "--port",
            str(server.port),
            "--security",
            "implicit-tls",
            "--certificate",
            certificate,
        ]
        without = await run(tmp_path, *arguments)
        with_pem = await run(tmp_path, *arguments, "--show-pem")

    assert re.search(r"^ +certificate .* for .*127\.0\.0\.1", without.stdout, re.MULTILINE)
    assert re.search(r"^ +issued by .*, \d+ days left$", without.stdout, re.MULTILINE)
    assert re.search(r"^ +SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$", without.stdout, re.MULTILINE)
    assert "BEGIN CERTIFICATE" not in without.stdout
    assert "-----BEGIN CERTIFICATE-----" in with_pem.stdout


async def test_an_untrusted_certificate_is_not_printed_as_a_suggestion(tmp_path: Path) -> None:
    async with real_server(Behaviour(ConnectionSecurity.IMPLICIT_TLS)) as server:
        told = await run(tmp_path, "127.0.0.1", "--port", str(server.port), "--security", "implicit-tls")

    assert "[tls_issuer_unknown]" in told.stdout
    assert "-> set --certificate to the certificate above" in told.stdout
    assert "BEGIN CERTIFICATE" not in told.stdout


async def test_stages_appear_as_they_end(tmp_path: Path) -> None:
    """The greeting never comes; what came before it is there to be read already."""
    environment = os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    async with scripted_server(stays_silent) as server:
        process = await asyncio.create_subprocess_exec(
            *(commands.python(), "-m", "mailsettings", "probe", "127.0.0.1", "--port", str(server.port)),
            *("--security", "none"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(GUARD_SECONDS):
            first = [await process.stdout.readline() for _ in range(2)]
        still_running = process.returncode is None
        process.kill()
        await process.communicate()

    assert [line.split()[:2] for line in first] == [[b"resolve", b"ok"], [b"connect", b"ok"]]
    assert still_running


async def test_the_alert_that_ends_a_handshake_is_told(tmp_path: Path, certificate: str) -> None:
    """After a TLS 1.3 handshake: the server demands a certificate from its client."""
    situation = next(one for one in SITUATIONS if one.name == "client certificate, starttls")
    with serving(replace(situation, host="127.0.0.1")) as port:
        arguments = ["127.0.0.1", "--port", str(port), "--security", "starttls", "--certificate", certificate]
        told = await run(tmp_path / "home", *arguments, "--json")

    assert json.loads(told.stdout)["failure"]["code"] == FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED
