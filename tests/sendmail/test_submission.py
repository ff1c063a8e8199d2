"""Mail goes to a real server: encryption, login, envelope and content."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.sendmail.config_file import VARIABLE

from support.canary import Canary
from support.certificates import SelfSigned
from support.sendmail_program import MAIL, Sendmail, WriteSettings
from support.smtp_server import AUTHORITY_PEM, HOST, Behaviour, real_server

STARTTLS = Behaviour(ConnectionSecurity.STARTTLS, "canary-password")
IMPLICIT = Behaviour(ConnectionSecurity.IMPLICIT_TLS, "canary-password")
PLAIN = Behaviour(password="canary-password")
CRON = ("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root")
START = [sys.executable, "-c", "from mailsettings.sendmail import main; main()"]


@pytest.mark.parametrize(
    ("behaviour", "security"), [(STARTTLS, "starttls"), (IMPLICIT, "implicit-tls"), (PLAIN, "none")]
)
async def test_a_mail_arrives_with_each_kind_of_encryption(
    sendmail: Sendmail, sendmail_settings: WriteSettings, behaviour: Behaviour, security: str
) -> None:
    async with real_server(behaviour) as server:
        ended = await sendmail(sendmail_settings(server.port, security=security), "-t", "-i")

    assert ended == (0, "", "")
    assert server.attempts == ["PLAIN"]
    assert server.envelopes == [("web1@example.com", ["ops@example.com"])]
    assert server.messages[0].startswith(
        b"From: web1@example.com\r\nTo: ops@example.com\r\nSubject: disk full\r\n"
    )
    assert server.messages[0].endswith(b"\r\n\r\nSee /var.\r\n")


async def test_mail_of_cron_goes_to_the_configured_address(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    mail = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> x\nX-Cron-Env: <A=1>\n\n.\n100 %\n"
    async with real_server(STARTTLS) as server:
        ended = await sendmail(sendmail_settings(server.port), *CRON, message=mail)

    assert ended == (0, "", "")
    assert server.envelopes == [("web1@example.com", ["admin@example.com"])]
    assert b"From: web1@example.com (Cron Daemon)\r\n" in server.messages[0]
    assert server.messages[0].endswith(b"\r\n\r\n.\r\n100 %\r\n")


async def test_recipients_of_header_and_arguments_get_it_once(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    mail = b"To: a@example.com, B <b@example.com>\nBcc: hidden@example.com\n\nx\n"
    async with real_server(STARTTLS) as server:
        ended = await sendmail(
            sendmail_settings(server.port), "-ti", "-f", "c@example.com", "b@example.com", message=mail
        )

    assert ended.code == 0
    assert server.envelopes == [("c@example.com", ["b@example.com", "a@example.com", "hidden@example.com"])]
    assert b"hidden" not in server.messages[0]


async def test_the_null_sender_and_no_login_are_possible(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS)) as server:
        file = sendmail_settings(server.port, user=None, secret=None)
        ended = await sendmail(file, "-f", "<>", "a@example.com")

    assert ended.code == 0
    assert server.attempts == []
    assert server.envelopes == [("<>", ["a@example.com"])]  # as aiosmtpd spells it


async def test_login_works_without_plain(sendmail: Sendmail, sendmail_settings: WriteSettings) -> None:
    behaviour = Behaviour(ConnectionSecurity.STARTTLS, "canary-password", mechanisms=("LOGIN", "CRAM-MD5"))
    async with real_server(behaviour) as server:
        ended = await sendmail(sendmail_settings(server.port), "-t")

    assert ended.code == 0
    assert server.attempts == ["LOGIN"]


async def test_a_long_secret_waits_for_its_challenge(sendmail: Sendmail, sendmail_settings: WriteSettings) -> None:
    secret = "s" * 600
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, secret)) as server:
        ended = await sendmail(sendmail_settings(server.port, secret=secret), "-t")

    assert ended.code == 0
    assert server.attempts == ["PLAIN"]


async def test_the_servers_own_certificate_can_be_trusted(
    sendmail: Sendmail, sendmail_settings: WriteSettings, tmp_path: Path
) -> None:
    own = SelfSigned.for_name("localhost")
    (tmp_path / "own.pem").write_bytes(own.pem)
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, "canary-password", certificate=own)) as server:
        file = sendmail_settings(server.port, host="localhost", ca_file=str(tmp_path / "own.pem"))
        ended = await sendmail(file, "-t")

    assert ended == (0, "", "")


async def test_a_megabyte_mail_arrives_whole(sendmail: Sendmail, sendmail_settings: WriteSettings) -> None:
    lines = b"".join(b".%d %s\n" % (number, b"x" * 60) for number in range(50_000))
    async with real_server(STARTTLS) as server:
        ended = await sendmail(sendmail_settings(server.port), "-t", "-i", message=MAIL + lines)

    assert ended == (0, "", "")
    assert server.messages[0].partition(b"See /var.\r\n")[2] == lines.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("call", ["mailq", "newaliases", "sendmail"])
async def test_a_question_about_the_queue_is_answered(
    sendmail: Sendmail, sendmail_settings: WriteSettings, call: str
) -> None:
    ended = await sendmail(sendmail_settings(1), *(["-bp"] if call == "sendmail" else []), name=call)

    assert ended.code == 0
    assert "There is no queue" in ended.output


async def test_the_program_runs_by_another_name_without_secrets_in_sight(
    sendmail_settings: WriteSettings, tmp_path: Path
) -> None:
    """As `/usr/sbin/sendmail`, with the settings named by the environment and the secret in its own file."""
    canary = Canary(plain=True)
    secret = tmp_path / "secret"
    secret.write_text(f"{canary}\n")
    secret.chmod(0o640)
    program = tmp_path / "sendmail"
    script = tmp_path / "mailsettings-sendmail"
    script.write_text(f"#!{sys.executable}\nfrom mailsettings.sendmail import main\n\nmain()\n")
    script.chmod(0o700)
    program.symlink_to(script)
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, canary.secret)) as server:
        file = sendmail_settings(server.port, secret=None, secret_file=str(secret))
        process = await asyncio.create_subprocess_exec(
            *(program, "-t", "-i"),
            env={VARIABLE: str(file), "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate(MAIL)

    assert (process.returncode, output) == (0, b"")
    assert len(server.messages) == 1
    canary.assert_nowhere(server.messages[0])


async def test_a_caller_that_speaks_smtp_is_logged_in(sendmail_settings: WriteSettings) -> None:
    """The conversation of `sendmail -bs`, which Symfony Mailer uses by default."""
    async with real_server(STARTTLS) as server:
        process = await asyncio.create_subprocess_exec(
            *(*START, "-bs", "-C", str(sendmail_settings(server.port))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        codes = [(await process.stdout.readline())[:3]]
        content = b"Subject: x\r\n\r\nbody\r\n."
        commands = (
            b"HELO [127.0.0.1]",
            b"MAIL FROM:<a@example.com>",
            b"RCPT TO:<b@example.com>",
            b"DATA",
            content,
        )
        for command in (*commands, b"QUIT"):
            process.stdin.write(command + b"\r\n")
            codes.append((await process.stdout.readline())[:3])
        await process.wait()

    assert [int(code) for code in codes] == [220, 250, 250, 250, 354, 250, 221]
    assert process.returncode == 0
    assert server.attempts == ["PLAIN"]
    assert server.envelopes == [("a@example.com", ["b@example.com"])]


def test_the_program_needs_few_modules_of_python_only(tmp_path: Path) -> None:
    """Each is imported for every mail; those named below cost more than the rest of the program."""
    code = (
        "import sys; import mailsettings.sendmail.submission, mailsettings.sendmail.tunnel;"
        "print(*sorted(name for name in sys.modules if name != '__main__'))"
    )
    path = str(Path(__file__).parents[2] / "src")
    ran = subprocess.run(
        [sys.executable, "-ISc", f"import sys; sys.path.append({path!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ran.stdout.split())
    ours = {name for name in loaded if name.startswith("mailsettings")}

    assert {name.partition(".")[0] for name in loaded - ours} <= sys.stdlib_module_names
    assert {name for name in ours if not name.startswith("mailsettings.sendmail")} == {"mailsettings"}
    assert (
        loaded & {"argparse", "dataclasses", "email", "inspect", "logging", "smtplib", "tempfile", "typing"}
        == set()
    )


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o641])
@pytest.mark.parametrize("key", ["secret", "secret_file"])
async def test_a_secret_that_others_can_reach_is_refused(
    sendmail: Sendmail, sendmail_settings: WriteSettings, tmp_path: Path, canary: Canary, mode: int, key: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(canary.secret)
    value = canary.secret if key == "secret" else str(secret)
    file = sendmail_settings(1, **{"secret": None, key: value})
    exposed = file if key == "secret" else secret
    exposed.chmod(mode)
    ended = await sendmail(file, "-t")

    assert ended.code == 78
    assert f"{exposed} has a secret and the mode {mode:04o}: chmod 0640 {exposed}" in ended.errors
    canary.assert_nowhere(ended.errors)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"host": None}, "host is missing"),
        ({"port": "70000"}, "port must be a number from 1 to 65535"),
        ({"port": "x"}, "port must be a number from 1 to 65535"),
        ({"security": "tls"}, "security must be starttls, implicit-tls or none"),
        ({"secret": None}, "user and secret (or secret_file) belong together"),
        ({"secret_file": "/dev/null"}, "give secret or secret_file, not both"),
        ({"secret": None, "secret_file": "/nonexistent"}, "cannot read /nonexistent: No such file"),
        ({"ca_file": "/nonexistent"}, "cannot use ca_file /nonexistent"),
        ({"local_address": "root"}, "local_address must be an address with a domain"),
        ({"password": "canary-7f"}, "line 10: the line must be KEY = VALUE, with one of ca_file, host"),
        ({"\nhost": "twice"}, "host is there twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_wrong_settings_are_named(
    sendmail: Sendmail, sendmail_settings: WriteSettings, changed: dict[str, str | None], words: str
) -> None:
    async with real_server(STARTTLS) as server:
        ended = await sendmail(sendmail_settings(server.port, **changed), "-t")

    assert ended.code == 78
    assert words in ended.errors
    assert "canary" not in ended.errors
    assert server.messages == []


async def test_settings_that_others_may_write_get_no_secret(
    sendmail: Sendmail, sendmail_settings: WriteSettings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("canary-password")
    (tmp_path / "secret").chmod(stat.S_IRUSR)
    file = sendmail_settings(1, secret=None, secret_file=str(tmp_path / "secret"))
    file.chmod(0o646)
    ended = await sendmail(file, "-t")

    assert ended.code == 78
    assert "must not be writable for other users" in ended.errors


async def test_only_this_machine_gets_mail_without_encryption(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    ended = await sendmail(sendmail_settings(25, host="192.0.2.1", security="none"), "-t")

    assert ended.code == 78
    assert "192.0.2.1 is not this machine" in ended.errors


def test_extra_rights_forbid_other_settings(
    sendmail_settings: WriteSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with setgid starts with a group that its caller does not have."""
    file = sendmail_settings(1)
    code = (
        "import os; os.setregid(1, 2); from mailsettings.sendmail.config_file import Failed, read\n"
        f"for chosen in (None, {str(file)!r}):\n"
        "    try: read(chosen)\n"
        "    except Failed as failed: print(failed)"
    )
    if os.getuid() != 0:
        pytest.skip("only root can change the group of a process")
    ran = subprocess.run(
        [sys.executable, "-c", code], env={VARIABLE: str(file)}, capture_output=True, text=True, check=True
    )

    assert ran.stdout.splitlines() == [
        "cannot read /etc/mailsettings/sendmail.conf: No such file or directory",
        "the option -C is not allowed for a program with setuid or setgid",
    ]


async def test_names_and_addresses_of_servers_are_checked(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    other = Behaviour(
        ConnectionSecurity.STARTTLS, "canary-password", certificate=SelfSigned.for_name("mail.example.net")
    )
    async with real_server(other) as server:
        ended = await sendmail(sendmail_settings(server.port), "-t")

    assert ended.code == 78
    assert f"the certificate of the mail server {HOST}:{server.port} is not trusted" in ended.errors
    assert AUTHORITY_PEM not in ended.errors
    assert server.attempts == []
