"""Write into docs/connection-test.md how nodemailer, swaks and our test report twenty situations.

Needs node, `npm install --prefix .real nodemailer` and swaks; both run unchanged, against the same server.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import uvloop

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "connection-test.md"
TIMEOUT_SECONDS = 20
MAX_WORDS = 160
NO_ANSWER = "no answer"
_BETWEEN = re.compile(r"(<!-- testers -->\n).*(<!-- /testers -->)", re.DOTALL)

sys.path.insert(0, str(ROOT / "tests"))
from mailsettings.domain.mail_server import MailServer, PasswordAuthentication  # noqa: E402

from smtp.cases import SITUATIONS  # noqa: E402
from smtp.cases.server import serving  # noqa: E402
from smtp.cases.situation import IMPLICIT, STARTTLS, Situation  # noqa: E402
from support.probers import MakeProber  # noqa: E402  # the tests are no package of the project
from support.smtp_server import AUTHORITY_PEM, HOST, SENDER, TRUST  # noqa: E402

CHOSEN = (
    "Postfix, relay, for now",
    "Postfix, sender of another login",
    "Postfix, reverse name",
    "Postfix, EHLO name",
    "a literal, 501",
    "STARTTLS by 451",
    "Mailgun, activation",
    "LDAP tool behind Postfix",
    "MailEnable",
    "size, with its limit",
    "Microsoft 365, password login off",
    "Microsoft 365, credentials",
    "Gmail, browser, long",
    "Yandex, access",
    "Exim, EHLO name",
    "client certificate, starttls",
    "host name, implicit-tls",
    "old ciphers, starttls",
    "the handshake stalls after STARTTLS",
    "Amazon SES, permission",
)
NODEMAILER = """
const [module, port, mode, user, pass, ca] = process.argv.slice(1);
const transport = require(module).createTransport({
  host: "127.0.0.1", port: Number(port), secure: mode === "implicit-tls", requireTLS: mode === "starttls",
  ignoreTLS: mode === "none", auth: user ? {user, pass} : undefined, socketTimeout: 8000,
  greetingTimeout: 8000, tls: {ca, servername: "mail.example.com"},
});
transport.sendMail({from: "scans@example.org", to: "to@example.net", subject: "Test", text: "Test"})
  .then(() => console.log("works"), error => console.log(error.message));
"""


def main() -> None:
    """Write the table."""
    by_name = {situation.name: situation for situation in SITUATIONS}
    rows = [["situation", "connection test", "nodemailer", "swaks"], ["---"] * 4]
    rows += [[name, *_said(by_name[name])] for name in CHOSEN]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BETWEEN.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", page), encoding="utf-8")


def _said(situation: Situation) -> list[str]:
    with serving(situation) as port:
        ours = uvloop.run(_ours(situation, port))
    with serving(situation) as port:
        nodemailer = _cell(_nodemailer(situation, port))
    with serving(situation) as port:
        swaks = _cell(_swaks(situation, port))
    return [ours, nodemailer, swaks]


async def _ours(situation: Situation, port: int) -> str:
    prober = MakeProber()(resolve=lambda _host: [ip_address(HOST)], deadline_seconds=situation.deadline)
    server = MailServer(situation.host, port, situation.security, SENDER, situation.login, TRUST)
    found = (await prober.probe(server, "to@example.net")).failure
    return f"`{found.code}`: {found.explanation} {found.steps[0]}" if found else "works"


def _nodemailer(situation: Situation, port: int) -> str:
    user, password = _login(situation)
    module = str(ROOT / ".real" / "node_modules" / "nodemailer")
    command = ["node", "-e", NODEMAILER, module, str(port), situation.security.value, user, password]
    return _run([*command, AUTHORITY_PEM])


def _swaks(situation: Situation, port: int) -> str:
    user, password = _login(situation)
    security: Mapping[object, list[str]] = {STARTTLS: ["--tls"], IMPLICIT: ["--tls-on-connect"]}
    login = ["--auth", "PLAIN", "--auth-user", user, "--auth-password", password] if user else []
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(AUTHORITY_PEM)
        authority.flush()
        command = ["swaks", "--server", HOST, "--port", str(port), "--timeout", "8", "--protocol", "ESMTP"]
        command += ["--from", SENDER.address, "--to", "to@example.net", *login]
        command += [*security.get(situation.security, []), "--tls-ca-path", authority.name]
        text = _run(command)
    bad = [line for line in text.splitlines() if line.startswith(("***", "<**", "<~*", NO_ANSWER))]
    return bad[0] if bad else "works"


def _login(situation: Situation) -> tuple[str, str]:
    login = situation.login
    if isinstance(login, PasswordAuthentication) and login.password is not None:
        return login.username, login.password.reveal()
    return "", ""


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{NO_ANSWER} within {TIMEOUT_SECONDS} seconds"
    return f"{done.stdout}{done.stderr}".strip()


def _cell(text: str) -> str:
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"


if __name__ == "__main__":
    main()
