"""Kill the relay, its database and its mail server while devices submit, and count what was lost or sent twice."""

import asyncio
import itertools
import os
import random
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import migrations

from support import commands
from support.postgres import Postgres, running_postgres
from support.processes import free_port
from support.relay_process import DEVICE, SENDER, prepare, relay_environment
from support.timeouts import GUARD_SECONDS

MESSAGES, KILLS, DEVICES = 1000, 20, 8
_UNKNOWN = b"delivery_unknown"


@dataclass
class Submissions:
    """What the devices did: the attempts of each message that may have sent it, and the acknowledged messages."""

    acknowledged: set[str] = field(default_factory=set)
    in_flight: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class RelayReport:
    """The outcome of a run."""

    kills: Counter[str]
    submissions: Submissions
    delivered: Counter[str]
    seconds: float
    longest_recovery: float = 0.0

    @property
    def findings(self) -> list[str]:
        """Return the lost messages, and those delivered more often than their attempts explain."""
        told = self.submissions
        lost = [f"lost: {name}" for name in sorted(told.acknowledged - set(self.delivered))]
        twice = [
            f"duplicate: {name}" for name, times in self.delivered.items() if times > 1 + told.in_flight[name]
        ]
        return [*lost, *twice, *told.wrong]

    def __str__(self) -> str:
        told = self.submissions
        duplicates = sum(times - 1 for times in self.delivered.values())
        lines = [
            f"relay, PostgreSQL and a mail server, {self.seconds:.0f} s:",
            f"{len(told.acknowledged)} of {MESSAGES} messages acknowledged, {len(self.delivered)} delivered",
            f"kills: {dict(self.kills)}; replies: {dict(told.replies)}",
            f"duplicates {duplicates}, attempts without a known outcome {sum(told.in_flight.values())}",
        ]
        return "\n  ".join([*lines, *(f"FOUND {finding}" for finding in self.findings[:20])])


class Devices:
    """Devices that submit each message again until it is acknowledged."""

    def __init__(self, port: int, secret: str) -> None:
        self.told = Submissions()
        self._port = port
        self._secret = secret
        self._names = (f"message-{number:04}" for number in itertools.count())
        self._lock = threading.Lock()

    def work(self) -> None:
        """Submit messages until enough are acknowledged."""
        while (name := self._next()) is not None:
            while not self._submit(name):
                time.sleep(0.05)

    def _next(self) -> str | None:
        with self._lock:
            name = next(self._names)
        return name if int(name.rpartition("-")[2]) < MESSAGES else None

    def _submit(self, name: str) -> bool:
        code, words = 0, b""
        try:
            with smtplib.SMTP("127.0.0.1", self._port, timeout=GUARD_SECONDS) as client:
                client.login(DEVICE, self._secret)
                replies = [client.mail(SENDER), client.rcpt("post@example.org"), client.docmd("DATA")]
                refused = next((reply for reply in replies if reply[0] // 100 not in {2, 3}), None)
                code, words = refused or self._content(client, name)
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
            words = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
        except (OSError, smtplib.SMTPException) as error:
            words = type(error).__name__.encode()
        return self._note(name, code, words)

    def _content(self, client: smtplib.SMTP, name: str) -> tuple[int, bytes]:
        try:
            client.send(f"From: {SENDER}\r\nSubject: {name}\r\n\r\nPage\r\n.\r\n")
            return client.getreply()
        except (OSError, smtplib.SMTPException):
            with self._lock:
                self.told.in_flight[name] += 1
            raise

    def _note(self, name: str, code: int, words: bytes) -> bool:
        with self._lock:
            self.told.replies[f"{code} {words[:5].decode(errors='replace')}" if code else words.decode()] += 1
            if code == 250:
                self.told.acknowledged.add(name)
            elif _UNKNOWN in words:
                self.told.in_flight[name] += 1
            elif code // 100 == 5:
                self.told.wrong.append(f"a permanent refusal of {name}: {code} {words!r}")
        return code == 250 or code // 100 == 5


class Victims:
    """The processes to kill and start again."""

    def __init__(self, folder: Path, environment: dict[str, str], postgres: Postgres, sink_port: int) -> None:
        self.port = int(environment["MAILSETTINGS_RELAY_LISTEN"].rpartition(":")[2])
        self.delivered = folder / "delivered"
        self._folder = folder
        self._environment = environment
        self._postgres = postgres
        self._sink_port = sink_port
        self._sink: subprocess.Popen[bytes] | None = None
        self._relay: commands.Process | None = None

    def start_relay(self) -> None:
        """Start the relay, and again if it ends because its database is away."""
        end = time.monotonic() + GUARD_SECONDS
        while not _listens(self.port):
            if self._relay is None or self._relay.poll() is not None:
                with (self._folder / "relay.log").open("ab") as log, Path(os.devnull).open() as nothing:
                    self._relay = commands.start(self._environment, "relay", stdin=nothing, stdout=log, stderr=log)
            if time.monotonic() > end:
                raise RuntimeError((self._folder / "relay.log").read_text())
            time.sleep(0.05)

    def start_sink(self) -> None:
        """Start the mail server."""
        command = [sys.executable, "-m", "chaos.mail_sink", str(self._sink_port), str(self.delivered)]
        self._sink = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        while not _listens(self._sink_port):
            time.sleep(0.02)

    def kill(self, victim: str, away_seconds: float) -> None:
        """End *victim* in mid-work, and start it again."""
        if victim == "database":
            self._postgres.kill()
            time.sleep(away_seconds)
            self._postgres.start()
        elif victim == "mail server":
            _end(self._sink)
            time.sleep(away_seconds)
            self.start_sink()
        else:
            _end(self._relay)
            time.sleep(away_seconds)
            self.start_relay()

    def close(self) -> None:
        """End all."""
        _end(self._relay)
        _end(self._sink)


def _end(process: "commands.Process | None") -> None:
    if process is not None:
        process.kill()
        process.wait(GUARD_SECONDS)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


async def with_relay(folder: Path, _seconds: float, seed: int) -> RelayReport:
    """Submit 1,000 messages by eight devices, and kill 20 times meanwhile."""
    sink_port = free_port()
    server = MailServer("127.0.0.1", sink_port, ConnectionSecurity.NONE, Sender(SENDER))
    with running_postgres() as postgres:
        postgres.execute("CREATE DATABASE chaos")
        url = postgres.url("chaos")
        environment = relay_environment(
            folder / "data",
            DATABASE_URL=url,
            RELAY_LISTEN=f"plain://127.0.0.1:{free_port()}",
            RELAY_PLAIN_NETWORKS="127.0.0.0/8",
        )
        migrations.migrate(url)
        secret = await prepare(environment, server, url)
        victims = Victims(folder, environment, postgres, sink_port)
        try:
            return await asyncio.to_thread(_run, victims, secret, random.Random(seed))
        finally:
            victims.close()


def _run(victims: Victims, secret: str, chance: random.Random) -> RelayReport:
    victims.start_sink()
    victims.start_relay()
    devices = Devices(victims.port, secret)
    threads = [threading.Thread(target=devices.work) for _ in range(DEVICES)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    kills = Counter[str]()
    for number in range(1, KILLS + 1):
        while len(devices.told.acknowledged) < number * MESSAGES // (KILLS + 1):
            time.sleep(0.01)
        time.sleep(chance.random() * 0.1)
        victim = chance.choice(["relay", "database", "mail server"])
        kills[victim] += 1
        victims.kill(victim, chance.random() * 0.3)
    for thread in threads:
        thread.join()
    delivered = Counter(victims.delivered.read_text().split())
    return RelayReport(kills, devices.told, delivered, time.monotonic() - began)
