"""The page about the relay is true: its replies, codes, keys and commands are the program's."""

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailsettings.cli import main
from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, OAuth2ClientCredentials, Sender
from mailsettings.domain.relay_places import PLACE_LEASE_SECONDS
from mailsettings.domain.values import Secret
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.limits import RelayLimits
from mailsettings.relay.outgoing import answers
from mailsettings.relay.replies import Reply
from mailsettings.sendmail import config_file
from mailsettings.sendmail import failure as exits
from mailsettings.settings.relay import RelaySettings
from mailsettings.smtp.diagnosis.failures import explain_error
from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import CODES_BY_AADSTS

from support.processes import clean_environment

PAGE = (Path(__file__).parents[1] / "docs" / "relay.md").read_text()
MISTAKES = {500, 501, 502, 503, 504, 555}
"""Replies to commands that no device sends; one row has them all."""


def rows(between: str, and_: str) -> list[list[str]]:
    """Return the cells of each row there, without the head."""
    lines = [line for line in PAGE.partition(between)[2].partition(and_)[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def shown(reply: Reply) -> str:
    return f"{reply.code} {reply.enhanced} {reply.text}"


REPLIES = [row[0].strip("`") for row in rows("<!-- replies -->", "<!-- /replies -->")]
OWN = {shown(reply) for reply in vars(refusals).values() if isinstance(reply, Reply) and reply.code >= 400}


def trouble() -> set[str]:
    """The replies to failures of the connection to the mail server, without our code."""
    found = {
        shown(answers.of_failure(failure(code, stage)).reply).replace(f": {code.value}", ": …")
        for code in FailureCode
        for stage in ProbeStage
    }
    return found | {shown(answers.busy("x").reply).replace(": x", ": …")}


def test_every_reply_of_the_relay_is_on_the_page() -> None:
    own = {text for text in OWN if int(text[:3]) not in MISTAKES}

    assert own | trouble() == {text for text in REPLIES if text[3:4] == " " and "…" not in text[:5]}
    assert {int(text[:3]) for text in OWN} & MISTAKES


def login_failure(said: str) -> Reply:
    """What a device gets when the mail server answers a login by OAuth2 so."""
    code, _, text = said.partition(" ")
    login = OAuth2ClientCredentials("scans@example.com", "id", "tenant", Secret("x" * 20))
    server = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("scans@example.com"), login)
    journal = Journal(server)
    journal.enter(ProbeStage.AUTHENTICATE)
    return answers.of_failure(explain_error(ReplyError(int(code), text), journal)).reply


def envelope_failure(said: str) -> Reply:
    """What a device gets when the mail server answers its message so."""
    code, _, text = said.partition(" ")
    server = MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("scans@example.com"))
    journal = Journal(server).at(ProbeStage.SENDER, ["scans@example.com", "x@example.com"])
    return answers.of_error(ReplyError(int(code), text), journal).reply


@pytest.mark.parametrize("row", rows("<!-- microsoft -->", "<!-- /microsoft -->"), ids=lambda row: row[0])
def test_a_refusal_of_microsoft_reaches_devices_so(row: list[str]) -> None:
    said, seen = row[0].strip("`"), row[1].strip("`")
    if said.startswith("AADSTS"):
        assert seen == f"454 4.7.0 provider login failed: {CODES_BY_AADSTS[said]}"
    elif seen.startswith("454"):
        assert seen == shown(login_failure(said))
    elif said.startswith("432"):
        assert answers.is_about_the_server(envelope_failure(said))
        assert seen.endswith(f"{answers.busy('').reply.code} {answers.busy('').reply.enhanced}")
    else:
        assert seen == "the same reply"
        assert said.removesuffix(".") == shown(envelope_failure(said)).removesuffix(".")


def test_keys_and_exit_codes_of_sendmail_are_on_the_page() -> None:
    settings = PAGE.partition("<!-- sendmail.conf -->")[2].partition("<!-- exit codes -->")[0]
    keys = re.findall(r"`(\w+)`", "".join(row[0] for row in rows("<!-- sendmail.conf -->", "<!-- exit codes -->")))
    codes = {int(row[0]) for row in rows("<!-- exit codes -->", "## Several relays")}

    assert set(keys) == config_file.KEYS
    assert config_file.VARIABLE in settings
    assert config_file.DEFAULT in PAGE
    assert codes == {value for name, value in vars(exits).items() if name.isupper()}


def test_the_settings_of_sendmail_on_the_page_are_valid(tmp_path: Path) -> None:
    example = PAGE.partition("<!-- sendmail.conf -->\n")[2].partition("\n\n")[0].replace("    ", "")
    secret, file = tmp_path / "secret", tmp_path / "sendmail.conf"
    secret.write_text("x" * 26)
    secret.chmod(0o640)
    file.write_text(example.replace("/etc/mailsettings/sendmail.secret", str(secret)))
    read = config_file.read(str(file))

    assert (read.host, read.port, read.user, read.local_address) == (
        *("relay.example.com", 2587, "web1", "admin@example.com"),
    )


def test_limits_on_the_page_are_those_of_the_relay() -> None:
    chosen, limits = RelaySettings(), RelayLimits()

    assert f"free again within {PLACE_LEASE_SECONDS:.0f} seconds" in PAGE
    assert f"sends nothing for {limits.silence_timeout_seconds:.0f} seconds" in PAGE
    assert f"at most {chosen.relay_hold_seconds:.0f} seconds for a connection" in PAGE
    assert f"may have {chosen.relay_max_message_bytes >> 20} MiB" in PAGE
    assert f"kept for {chosen.relay_log_days} days" in PAGE
    assert {"2587", "2465"} == {str(each.address.port) for each in chosen.relay_listen}


def commands() -> list[str]:
    """Return every command of the page in order, in blocks and in sentences."""
    blocks, inline = r"^    (mailsettings [^\n]+)$", r"`(mailsettings [^`]+)`"
    return [block or sentence for block, sentence in re.findall(f"{blocks}|{inline}", PAGE, flags=re.MULTILINE)]


ELSEWHERE = re.compile(r"mailsettings (serve|serve --relay|relay|device test .*)")
"""Servers, and what needs a running relay: tests of their own run them."""
FAILS = "mailsettings server test"
"""It exits with 1 here: no mail server listens for the stored server."""


def test_the_commands_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("client-secret", "new-client-secret"):
        (tmp_path / name).write_text("canary-relay-page\n")
        (tmp_path / name).chmod(0o600)
    environment = {**dict.fromkeys(os.environ), **clean_environment(tmp_path / "data", DEV="true")}
    run = CliRunner()
    secrets = list[str]()
    for line in ["mailsettings migrate", *commands()]:
        if ELSEWHERE.fullmatch(line):
            continue
        result = run.invoke(main, shlex.split(line)[1:], env=environment)
        assert result.exit_code == (1 if line.startswith(FAILS) else 0), (line, result.output)
        assert "canary-relay-page" not in result.output
        secrets += re.findall(r"\b[a-z0-9]{26}\b", result.output)
        if line.startswith("mailsettings server create"):  # the real provider is not for tests
            given = ["server", "set", "microsoft365", "--host", "127.0.0.1", "--secret-file", "client-secret"]
            assert run.invoke(main, given, env=environment).exit_code == 0

    assert len(set(secrets)) == 2  # of `device add` and `device new-secret`, each shown once
