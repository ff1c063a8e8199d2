"""Measure the round trips of a connection test from connect to the final 250, compared with other clients.

    … probe_round_trips.py [--rounds 5] [--nodemailer FOLDER]

Each client sends one mail through the same server behind a delay of 25 ms each way. Times are in units of one
round trip, the time of a NOOP there: 50 ms and the overhead of the delay. It prints medians over the rounds;
the clients take turns, in reversed order every other round. The delay counts the flights, which do not depend
on the machine. `npm install nodemailer` prepares FOLDER; without it, or without Node, that client is skipped.
"""

import argparse
import json
import shutil
import smtplib
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import trustme
import uvloop

from delayed_mail_server import ROUND_TRIP_SECONDS, Mailbox, serving
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.values import Secret
from mailsettings.network.policy import UNRESTRICTED
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts

from support.token_authority import make_tokens

HOST = "127.0.0.1"
FROM, TO = "from@example.org", "to@example.org"
USER, PASSWORD = "alice", "correct horse"
NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
TITLES = {NONE: "plain", STARTTLS: "STARTTLS + AUTH PLAIN", IMPLICIT: "implicit TLS + AUTH PLAIN"}
GOALS = {NONE: 5.2, STARTTLS: 9.3, IMPLICIT: 7.5}
NOOPS = 20
AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()
CLIENT_TLS = ssl.create_default_context(cadata=PEM)

Client = Callable[[int, ConnectionSecurity], float]


def main() -> None:
    """Measure, print, and exit with 1 if a goal is missed."""
    options = _options()
    clients = _clients(options.nodemailer)
    round_trip = _round_trip()
    print(f"one round trip is {round_trip * 1000:.1f} ms")
    figures = {
        security: _measure(clients, security, options.rounds, round_trip) for security in ConnectionSecurity
    }
    missed = _print(figures)
    raise SystemExit(f"missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Count round trips of one mail.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodemailer", type=Path, help="a folder with node_modules/nodemailer")
    return parser.parse_args()


def _clients(nodemailer: Path | None) -> Mapping[str, Client]:
    clients: dict[str, Client] = {"ours": Ours().send, "smtplib": by_smtplib, "aiosmtplib": by_aiosmtplib}
    if nodemailer and shutil.which("node") and (nodemailer / "node_modules" / "nodemailer").is_dir():
        clients["nodemailer"] = Nodemailer(nodemailer).send
    return clients


def _measure(
    clients: Mapping[str, Client], security: ConnectionSecurity, rounds: int, round_trip: float
) -> Mapping[str, tuple[float, int]]:
    """Return for each client the median of its round trips by time, and its flights."""
    trips: dict[str, list[float]] = {name: [] for name in clients}
    flights: dict[str, int] = {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    with serving(context, implicit=security is IMPLICIT, starttls=security is STARTTLS) as (port, mailbox):
        for number in range(rounds + 1):
            names = list(clients) if number % 2 else list(reversed(list(clients)))
            for name in names:
                took = _timed(clients[name], port, security, mailbox)
                flights[name] = mailbox.flights
                if number:  # the first round warms up
                    trips[name].append(took / round_trip)
    return {name: (statistics.median(trips[name]), flights[name]) for name in clients}


def _round_trip() -> float:
    """Return the median time of a NOOP behind the delay."""
    took = []
    with serving(CLIENT_TLS, implicit=False, starttls=False) as (port, _), smtplib.SMTP(HOST, port) as client:
        client.ehlo("client")
        for _ in range(NOOPS):
            begun = time.perf_counter()
            client.noop()
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


def _timed(client: Client, port: int, security: ConnectionSecurity, mailbox: Mailbox) -> float:
    before = mailbox.mails
    took = client(port, security)
    if mailbox.mails != before + 1:
        raise SystemExit("a client sent no mail, or more than one")
    time.sleep(3 * ROUND_TRIP_SECONDS)  # wait for the end of QUIT
    return took


class Ours:
    """The service's own prober, on the loop that the service runs on."""

    def __init__(self) -> None:
        self._trust = TLSContexts()

    def send(self, port: int, security: ConnectionSecurity) -> float:
        """Send one mail and return the seconds."""
        login: Authentication = NoAuthentication()
        if security is not NONE:
            login = PasswordAuthentication(USER, Secret(PASSWORD))
        server = MailServer(HOST, port, security, Sender(FROM), login, CustomTrust(PEM))
        return uvloop.run(self._probe(server))

    async def _probe(self, server: MailServer) -> float:
        prober = SMTPProber(
            Connector(
                UNRESTRICTED,
                ehlo_name=None,
                allow_cleartext_credentials=False,
                trust=self._trust,
                oauth2=make_tokens(),
            ),
            deadline_seconds=15,
        )
        begun = time.perf_counter()
        report = await prober.probe(server, TO)
        took = time.perf_counter() - begun
        if not report.succeeded:
            raise SystemExit(f"ours failed: {report.failure}")
        return took


def by_smtplib(port: int, security: ConnectionSecurity) -> float:
    """Send as the documentation of the library shows."""
    begun = time.perf_counter()
    with ExitStack() as stack:
        if security is IMPLICIT:
            client: smtplib.SMTP = smtplib.SMTP_SSL(HOST, port, context=CLIENT_TLS, local_hostname="client")
        else:
            client = smtplib.SMTP(HOST, port, local_hostname="client")
        stack.callback(client.close)
        if security is STARTTLS:
            client.starttls(context=CLIENT_TLS)
        if security is not NONE:
            client.user, client.password = USER, PASSWORD
            client.ehlo_or_helo_if_needed()
            client.auth("plain", client.auth_plain)
        client.send_message(_message())
        return time.perf_counter() - begun


def by_aiosmtplib(port: int, security: ConnectionSecurity) -> float:
    """Send as the documentation of the library shows, by PLAIN, and without QUIT."""
    return uvloop.run(_by_aiosmtplib(port, security))


async def _by_aiosmtplib(port: int, security: ConnectionSecurity) -> float:
    begun = time.perf_counter()
    client = aiosmtplib.SMTP(
        hostname=HOST,
        port=port,
        use_tls=security is IMPLICIT,
        start_tls=security is STARTTLS,
        tls_context=CLIENT_TLS,
        local_hostname="client",
    )
    await client.connect()
    if security is not NONE:
        await client.ehlo()
        await client.auth_plain(USER, PASSWORD)
    await client.send_message(_message())
    took = time.perf_counter() - begun
    client.close()
    return took


def _message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = FROM, TO, "Test"
    message.set_content("Test\n")
    return message


class Nodemailer:
    """The usual client of Node, which reports the time itself."""

    _PROGRAM = """
const [port, secure, starttls, ca] = JSON.parse(process.argv[1]);
const nodemailer = require('nodemailer');
const auth = secure || starttls ? {user: 'alice', pass: 'correct horse'} : undefined;
const transport = nodemailer.createTransport({host: '127.0.0.1', port, secure, requireTLS: starttls, auth,
  authMethod: 'PLAIN', ignoreTLS: !starttls, name: 'client', tls: {ca}});
const begun = process.hrtime.bigint();
transport.sendMail({from: 'from@example.org', to: 'to@example.org', subject: 'Test', text: 'Test'}, error => {
  if (error) throw error;
  console.log(Number(process.hrtime.bigint() - begun) / 1e9);
});
"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, port: int, security: ConnectionSecurity) -> float:
        """Send one mail and return the seconds, without the start of Node."""
        options = json.dumps([port, security is IMPLICIT, security is STARTTLS, PEM])
        with tempfile.TemporaryFile() as errors:
            done = subprocess.run(
                ["node", "-e", self._PROGRAM, options],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=True,
            )
        return float(done.stdout)


def _print(figures: Mapping[ConnectionSecurity, Mapping[str, tuple[float, int]]]) -> list[str]:
    missed = []
    for security, by_client in figures.items():
        print(f"\n{TITLES[security]}: goal {GOALS[security]}")
        for name, (trips, flights) in by_client.items():
            print(f"  {name:<12}{trips:6.2f} round trips, {flights} flights")
        if by_client["ours"][0] > GOALS[security] or by_client["ours"][1] > GOALS[security]:
            missed.append(TITLES[security])
    return missed


if __name__ == "__main__":
    main()
