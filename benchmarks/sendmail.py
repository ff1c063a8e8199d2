"""Measure what one mail costs by `mailsettings-sendmail`, msmtp and smtplib: processor time and memory.

    … sendmail.py [--rounds 20]

Each program sends one mail of 2 KB to a mail server on this machine, with STARTTLS and a login. The programs take
turns; the figures are medians. msmtp is left out where it is missing.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from relay import certificates_in
from relay_contenders import PASSWORD, USER, Files
from relay_target import target

MAIL = b"From: web1@example.com\nTo: ops@example.com\nSubject: Disk full\n\n" + (b"x" * 76 + b"\n") * 25
SMTPLIB = """
import smtplib, ssl, sys
port, authority = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port)) as client:
    client.starttls(context=ssl.create_default_context(cafile=authority))
    client.login("relay@example.com", "correct horse")
    client.sendmail("web1@example.com", ["ops@example.com"], sys.stdin.buffer.read())
"""


_START = """
import os, sys
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(process, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Measure the cost of a mail.")
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    figures = defaultdict[str, list[tuple[float, float]]](list)
    with tempfile.TemporaryDirectory() as folder:
        certificates = certificates_in(Path(folder))
        with target(certificates.context) as server:
            programs = _programs(server.port, certificates.files, Path(folder))
            for _ in range(rounds):
                for name, command in programs.items():
                    figures[name].append(_cost(command))
    print("| program | ms of processor | MB |\n|---|--:|--:|")
    for name, found in figures.items():
        milliseconds, megabytes = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {name} | {milliseconds:.0f} | {megabytes:.0f} |")


def _programs(port: int, files: Files, folder: Path) -> Mapping[str, Sequence[str]]:
    ours = _private(
        folder / "sendmail.conf",
        f"host = 127.0.0.1\nport = {port}\nca_file = {files.authority}\nuser = {USER}\nsecret = {PASSWORD}\n"
        "sender = web1@example.com\n",
    )
    theirs = _private(
        folder / "msmtprc",
        f"account default\nhost 127.0.0.1\nport {port}\nauth plain\nuser {USER}\npassword {PASSWORD}\ntls on\n"
        f"tls_trust_file {files.authority}\nfrom web1@example.com\n",
    )
    start = "from mailsettings.sendmail import main; main()"
    programs = {
        "mailsettings-sendmail": [sys.executable, "-c", start, "-C", str(ours), "-t", "-i"],
        "smtplib": [sys.executable, "-c", SMTPLIB, str(port), str(files.authority)],
    }
    if shutil.which("msmtp"):
        programs["msmtp"] = ["msmtp", f"--file={theirs}", "-t"]
    return programs


def _private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def _cost(command: Sequence[str]) -> tuple[float, float]:
    """Return the milliseconds of processor time and the megabytes of one mail.

    A small process starts the program: the kernel counts the memory of the process that forks.
    """
    started = [sys.executable, "-ISc", _START, *command]
    ran = subprocess.run(started, input=MAIL, capture_output=True, env={"PATH": os.environ["PATH"]}, check=True)
    seconds, kilobytes = map(float, ran.stdout.split())
    return seconds * 1000, kilobytes / 1024


if __name__ == "__main__":
    main()
