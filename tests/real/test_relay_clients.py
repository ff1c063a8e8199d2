"""Clients as they are deliver through the relay: each submits one mail, and the mail server behind gets it."""

import asyncio
import base64
import json
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.external_programs import TOOLS, program
from support.mail_server_box import running
from support.processes import free_port
from support.relay_process import DEVICE, SENDER, prepare, relay_environment, relay_started
from support.smtp_server import USERNAME, Behaviour, RealServer, real_server
from support.timeouts import GUARD_SECONDS

RECIPIENT = "ops@example.com"
BEHAVIOUR = Behaviour(ConnectionSecurity.STARTTLS, "canary-password")
BODY = "Page 1\n.\nend\n"
MAIL = f"From: {SENDER}\nTo: {RECIPIENT}\nSubject: Scan\n\n{BODY}"


@dataclass(frozen=True)
class Relay:
    """A running relay with its ports, the secret of its device, and the mail server behind it."""

    starttls: int
    tls: int
    secret: str
    authority: Path
    mail_server: RealServer

    def delivered(self, submit: Callable[[], object]) -> bytes:
        """Return the message that arrives from what *submit* does."""
        before = len(self.mail_server.messages)
        submit()
        end = time.monotonic() + GUARD_SECONDS
        while len(self.mail_server.messages) == before:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert self.mail_server.envelopes[-1] == (SENDER, [RECIPIENT])
        assert len(self.mail_server.messages) == before + 1
        return self.mail_server.messages[-1]


@contextmanager
def mail_server_running() -> Iterator[RealServer]:
    """A real mail server on a thread of its own, with a login."""
    loop, started, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[RealServer] = []

    async def serve() -> None:
        async with real_server(BEHAVIOUR) as server:
            found.append(server)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(GUARD_SECONDS)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    data, starttls, tls = tmp_path_factory.mktemp("relay") / "data", free_port(), free_port()
    listeners = f"starttls://127.0.0.1:{starttls},tls://127.0.0.1:{tls}"
    environment = relay_environment(data, RELAY_LISTEN=listeners)
    login = PasswordAuthentication(USERNAME, Secret("canary-password"))
    with mail_server_running() as mail_server:
        secret = asyncio.run(prepare(environment, mail_server.settings(ConnectionSecurity.STARTTLS, login)))
        with relay_started(environment) as started:
            wait_until_ready(started.status)
            authority = started.data_dir / "relay-development.pem"
            yield Relay(starttls, tls, secret, authority, mail_server)


def wait_until_ready(status: str) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{status}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the relay is not ready")


def run(command: Sequence[str | Path], stdin: str = "") -> None:
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def assert_is_the_mail(arrived: bytes) -> None:
    head, _, body = arrived.decode().partition("\r\n\r\n")

    assert "Subject: Scan" in head
    assert head.startswith("Received: ")
    assert DEVICE in head.partition("\r\nFrom:")[0]
    assert body.startswith(BODY.replace("\n", "\r\n"))


@pytest.mark.parametrize("tls", [False, True], ids=["STARTTLS", "implicit TLS"])
def test_smtplib_delivers(relay: Relay, tls: bool) -> None:
    context = ssl.create_default_context(cafile=relay.authority)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, RECIPIENT, "Scan"
    message.set_content(BODY)

    def submit() -> None:
        server = (
            smtplib.SMTP_SSL("127.0.0.1", relay.tls, context=context)
            if tls
            else smtplib.SMTP("127.0.0.1", relay.starttls)
        )
        with server as client:
            if not tls:
                client.starttls(context=context)
            client.login(DEVICE, relay.secret)
            client.send_message(message)

    assert_is_the_mail(relay.delivered(submit))


NODEMAILER = """
const nodemailer = require('nodemailer');
const [port, secure, user, pass, ca, from, to, text] = JSON.parse(process.argv[1]);
const transport = nodemailer.createTransport({host: '127.0.0.1', port, secure, requireTLS: !secure,
  auth: {user, pass}, tls: {ca}});
transport.sendMail({from, to, subject: 'Scan', text}, error => { if (error) throw error; });
"""


@pytest.mark.needs("node", "nodemailer")
@pytest.mark.parametrize("tls", [False, True], ids=["STARTTLS", "implicit TLS"])
def test_nodemailer_delivers(relay: Relay, tls: bool) -> None:
    port = relay.tls if tls else relay.starttls
    options = [port, tls, DEVICE, relay.secret, relay.authority.read_text(), SENDER, RECIPIENT, BODY]

    def submit() -> None:
        command = [program("node"), "-e", NODEMAILER, json.dumps(options)]
        ran = subprocess.run(command, cwd=TOOLS, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr

    assert_is_the_mail(relay.delivered(submit))


@pytest.mark.needs("curl")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl_delivers(relay: Relay, scheme: str) -> None:
    port = relay.tls if scheme == "smtps" else relay.starttls
    place = [
        program("curl"),
        "-sS",
        "--ssl-reqd",
        "--cacert",
        str(relay.authority),
        f"{scheme}://127.0.0.1:{port}",
    ]
    envelope = ["--user", f"{DEVICE}:{relay.secret}", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT]
    command = [*place, *envelope, "-T", "-", "--crlf"]

    assert_is_the_mail(relay.delivered(lambda: run(command, MAIL)))


@pytest.mark.needs("msmtp")
def test_msmtp_delivers(relay: Relay, tmp_path: Path) -> None:
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {relay.starttls}\ntls on\ntls_trust_file {relay.authority}\n"
        f"auth on\nuser {DEVICE}\npassword {relay.secret}\nfrom {SENDER}\n"
    )
    settings.chmod(0o600)

    assert_is_the_mail(relay.delivered(lambda: run([program("msmtp"), f"--file={settings}", RECIPIENT], MAIL)))


@pytest.mark.needs("swaks")
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_swaks_delivers(relay: Relay, method: str) -> None:
    command = [
        *(program("swaks"), "--server", f"127.0.0.1:{relay.starttls}", "--tls", "--auth", method),
        *("--auth-user", DEVICE, "--auth-password", relay.secret, "--from", SENDER, "--to", RECIPIENT),
        *("--data", MAIL.replace("\n", "\\n")),
    ]

    assert_is_the_mail(relay.delivered(lambda: run(command)))


POSTFIX_MAIN = """
compatibility_level = 3.6
maillog_file = /var/log/mail.log
myhostname = client.example.com
mydestination =
inet_interfaces =
inet_protocols = ipv4
relayhost = [127.0.0.1]:{port}
smtp_tls_security_level = encrypt
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:/etc/postfix/login
smtp_sasl_security_options = noanonymous
"""
POSTFIX_MASTER = """
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       5       1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@pytest.mark.needs("postfix")
def test_postfix_delivers_what_it_queued(relay: Relay, tmp_path: Path) -> None:
    files = {
        "/etc/postfix/main.cf": POSTFIX_MAIN.format(port=relay.starttls),
        "/etc/postfix/master.cf": POSTFIX_MASTER,
        "/etc/postfix/login": f"[127.0.0.1]:{relay.starttls} {DEVICE}:{relay.secret}\n",
        "/etc/scan.eml": MAIL,
    }
    start = (
        f"tail -qF /var/log/mail.log 2>/dev/null & sendmail -i -f {SENDER} {RECIPIENT} < /etc/scan.eml & "
        "exec postfix start-fg"
    )
    with running("postfix", tmp_path, files, start, (), apart=False) as box:
        arrived = relay.delivered(lambda: None)
        end = time.monotonic() + GUARD_SECONDS
        while "status=sent (250 2.0.0" not in box.lines():
            assert time.monotonic() < end, box.lines()
            time.sleep(0.1)

    assert_is_the_mail(arrived.replace(b"Received: by client", b"X: by client"))


def test_a_conversation_like_that_of_dotnet_delivers(relay: Relay) -> None:
    """System.Net.Mail.SmtpClient sends `AUTH login` with the user name, and reads no further than each code."""
    context = ssl.create_default_context(cafile=relay.authority)

    def submit() -> None:
        with socket.create_connection(("127.0.0.1", relay.starttls), GUARD_SECONDS) as plain:
            ask(plain, "", 220)
            ask(plain, "EHLO DESKTOP-1", 250)
            ask(plain, "STARTTLS", 220)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                ask(secure, "EHLO DESKTOP-1", 250)
                ask(secure, f"AUTH login {encoded(DEVICE)}", 334)
                ask(secure, encoded(relay.secret), 235)
                ask(secure, f"MAIL FROM:<{SENDER}>", 250)
                ask(secure, f"RCPT TO:<{RECIPIENT}>", 250)
                ask(secure, "DATA", 354)
                ask(secure, MAIL.replace("\n.", "\n..").replace("\n", "\r\n") + "\r\n.", 250)
                secure.sendall(b"QUIT\r\n")

    assert_is_the_mail(relay.delivered(submit))


def ask(connection: socket.socket, command: str, code: int) -> None:
    """Send a command, unless it is empty, and read one reply, which must have *code*."""
    if command:
        connection.sendall(f"{command}\r\n".encode())
    heard = b""
    while not heard.endswith(b"\r\n") or heard.splitlines()[-1][3:4] == b"-":
        more = connection.recv(4096)
        assert more, heard
        heard += more
    assert int(heard.splitlines()[-1][:3]) == code, heard


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def sendmail(relay: Relay, tmp_path: Path) -> str:
    """The command line of our sendmail with settings for the relay."""
    settings = tmp_path / "sendmail.conf"
    settings.write_text(
        f"host = 127.0.0.1\nport = {relay.starttls}\nca_file = {relay.authority}\nuser = {DEVICE}\n"
        f"secret = {relay.secret}\nsender = {SENDER}\nlocal_address = {RECIPIENT}\n"
    )
    settings.chmod(0o600)
    script = tmp_path / "sendmail"
    script.write_text(f"#!{sys.executable}\nfrom mailsettings.sendmail import main\n\nmain()\n")
    script.chmod(0o700)
    return f"{script} -C {settings}"


def test_our_sendmail_delivers_for_cron(relay: Relay, sendmail: str) -> None:
    mail = MAIL.replace(SENDER, "root (Cron Daemon)").replace(RECIPIENT, "root")
    command = [*sendmail.split(), "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"]

    assert_is_the_mail(relay.delivered(lambda: run(command, mail)))


@pytest.mark.needs("php")
def test_php_delivers_by_our_sendmail(relay: Relay, sendmail: str) -> None:
    code = f"exit(mail({RECIPIENT!r}, 'Scan', {json.dumps(BODY)}, 'From: {SENDER}') ? 0 : 1);"
    command = [program("php"), "-d", f"sendmail_path={sendmail} -t -i", "-r", code]

    assert_is_the_mail(relay.delivered(lambda: run(command)))


@pytest.mark.needs("php")
def test_php_reports_a_refused_sender(relay: Relay, sendmail: str) -> None:
    code = f"exit(mail({RECIPIENT!r}, 'Scan', 'x', '', '-fother@example.net') ? 0 : 1);"
    command = [program("php"), "-d", f"sendmail_path={sendmail} -t -i", "-r", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "550 5.7.1 The device may not send from this address" in ran.stdout + ran.stderr
