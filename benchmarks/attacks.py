"""Measure the cost of unauthenticated connections: peak memory under each attack, and which callers get answers.

    PYTHONPATH=tests … attacks.py                       every attack, from one address and from many
    PYTHONPATH=tests … attacks.py --only "unread files"

Exits with 1 if the memory exceeds `MAX_MEGABYTES`, or a known caller with its own address gets no answer
meanwhile. Linux only.
"""

import argparse
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import trustme

from load import request
from mailsettings.settings import PREFIX
from servers import SERVE, make_token, serving

from support.attackers import ATTACKS, Attack, Memory, from_many, from_one, status_for, under_attack

MAX_MEGABYTES = 250
HOLD_SECONDS = 2
KNOWN = "127.0.0.2"
STRANGER = "127.0.0.3"
"""Callers other than the attackers, each with its own address."""
_LIVE = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"


def main() -> None:
    """Run each attack on a separate server, print, and exit with 1 if a limit is exceeded."""
    options = _options()
    missed = []
    print(f"{'':46}{'memory, MB':>14}{'known':>8}{'stranger':>10}")
    for name, attack in ATTACKS.items():
        if options.only in (None, name):
            for ending, source in (("one address", from_one), ("many addresses", from_many)):
                missed += _measure(f"{name}, from {ending}", attack, source, tls=False)
    if options.only is None:
        for ending, source in (("one address", from_one), ("many addresses", from_many)):
            missed += _measure(f"silence after TLS, from {ending}", Attack(b"", 2000), source, tls=True)
    raise SystemExit(f"missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what attacks cost.")
    parser.add_argument("--only", choices=ATTACKS)
    return parser.parse_args()


def _measure(name: str, attack: Attack, source: Callable[[int], str], *, tls: bool) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        environment = {**os.environ, f"{PREFIX}DATA_DIR": str(data), f"{PREFIX}ADMIN_PASSWORD": "correct horse"}
        trust, options = _tls(Path(folder)) if tls else (None, [])
        server = stack.enter_context(serving([*SERVE, *options], environment))
        address, memory = ("127.0.0.1", server.port), Memory(server.process)
        known = request("GET", "/cxrestapi/auth/SMTPSettings", make_token(environment))
        first = status_for(address, known, KNOWN, trust)  # from now on this address is known
        memory.forget_highest()
        before = memory.read("VmRSS")
        stack.enter_context(under_attack(address, attack, source, trust))
        time.sleep(HOLD_SECONDS)
        known_status = status_for(address, known, KNOWN, trust)
        stranger_status = status_for(address, _LIVE, STRANGER, trust)
        most = memory.read("VmHWM")
    print(f"{name:46}{before:>6} ->{most:>5}{known_status:>8}{stranger_status:>10}", flush=True)
    return [name] if most > MAX_MEGABYTES or (first, known_status) != (200, 200) else []


def _tls(folder: Path) -> tuple[ssl.SSLContext, list[str]]:
    authority = trustme.CA()
    pair = authority.issue_cert("127.0.0.1")
    pair.private_key_pem.write_to_path(str(folder / "key.pem"))
    pair.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust, [f"--tls-certificate={folder / 'certificate.pem'}", f"--tls-key={folder / 'key.pem'}"]


if __name__ == "__main__":
    main()
