"""The relays that `relay.py` compares, each with defaults as far as they allow, in processes of their own."""

import asyncio
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import naive_relay
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from relay_devices import Place
from servers import free_port, wait_for

from support.relay_process import DEVICE, prepare, relay_environment

TOOLS = Path(__file__).parents[1] / ".real"
_BOX = TOOLS / "mta" / "postfix"
USER, PASSWORD = "relay@example.com", "correct horse"
"""The login at the mail server."""


class Files(NamedTuple):
    """The certificate of the authority; the certificate of the servers, and its key."""

    authority: Path
    certificate: Path
    key: Path


class Contender(NamedTuple):
    """Where devices submit, in clear and with STARTTLS if it has that; the process that does the work."""

    plain: Place
    encrypted: Place | None
    process: int


Start = Callable[[int, Files, Path], AbstractContextManager[Contender]]
"""Starts a relay for the mail server at a port, with the files, and an empty folder."""


@contextmanager
def direct(port: int, files: Files, _folder: Path) -> Iterator[Contender]:
    """Devices that submit straight to the mail server."""
    context = _trusting(files)
    place = Place(port, USER, PASSWORD, context)
    yield Contender(place, place, 0)


@contextmanager
def naive(port: int, files: Files, _folder: Path) -> Iterator[Contender]:
    """A relay of aiosmtpd and aiosmtplib."""
    mine = free_port()
    command = [sys.executable, naive_relay.__file__, str(mine), str(port), *map(str, files)]
    with _running(command, mine) as process:
        user, secret = naive_relay.USER.decode(), naive_relay.SECRET.decode()
        yield Contender(Place(mine, user, secret), Place(mine, user, secret, _trusting(files)), process)


@contextmanager
def msmtpd(port: int, files: Files, folder: Path) -> Iterator[Contender]:
    """The daemon of msmtp, which starts msmtp for each message."""
    program = shutil.which("msmtpd") or str(TOOLS / "msmtpd")
    mine, settings = free_port(), folder / "msmtprc"
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {port}\nauth plain\nuser {USER}\npassword {PASSWORD}\n"
        f"tls on\ntls_trust_file {files.authority}\n"
    )
    settings.chmod(0o600)
    handler = f"msmtp --file={settings} -f %F --"
    command = [program, f"--port={mine}", "--interface=127.0.0.1", f"--command={handler}"]
    with _running(command, mine) as process:
        yield Contender(Place(mine), None, process)


@contextmanager
def postfix(port: int, files: Files, folder: Path) -> Iterator[Contender]:
    """Postfix as a relay with a queue, for the devices of this machine, installed by `make mta`."""
    mine, layer = free_port(), folder / "layer"
    _write(layer / "etc/postfix/main.cf", _MAIN.format(port=port, size=64 << 20))
    _write(layer / "etc/postfix/master.cf", _MASTER.format(port=mine))
    _write(layer / "etc/postfix/login", f"[localhost]:{port} {USER}:{PASSWORD}\n")
    _write(layer / "etc/postfix/authority.pem", files.authority.read_text())
    script = folder / "start"
    script.write_text(_in_box(layer))
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-e", str(script)]
    with _running(command, mine) as process:
        yield Contender(Place(mine), None, process)


@contextmanager
def ours(port: int, files: Files, folder: Path) -> Iterator[Contender]:
    """The relay of this service, with SQLite and its message log."""
    plain, encrypted = free_port(), free_port()
    environment = relay_environment(
        folder / "data",
        RELAY_LISTEN=f"starttls://127.0.0.1:{encrypted},plain://127.0.0.1:{plain}",
        RELAY_PLAIN_NETWORKS="127.0.0.0/8",
        RELAY_TLS_CERTIFICATE=str(files.certificate),
        RELAY_TLS_KEY=str(files.key),
    )
    login = PasswordAuthentication(USER, Secret(PASSWORD))
    trust = CustomTrust(files.authority.read_text())
    sender = Sender("scan@example.com")
    server = MailServer("127.0.0.1", port, ConnectionSecurity.STARTTLS, sender, login, trust)
    secret = asyncio.run(prepare(environment, server))
    with _running([sys.executable, "-m", "mailsettings", "relay"], plain, environment) as process:
        in_clear = Place(plain, DEVICE, secret)
        yield Contender(in_clear, Place(encrypted, DEVICE, secret, _trusting(files)), process)


def available() -> dict[str, Start]:
    """Return the contenders that this machine has."""
    found: dict[str, Start] = {"this service": ours, "direct": direct, "naive": naive}
    if (TOOLS / "postfix.installed").exists() and os.geteuid() == 0:
        found["Postfix"] = postfix
    if (shutil.which("msmtpd") or (TOOLS / "msmtpd").exists()) and shutil.which("msmtp"):
        found["msmtpd"] = msmtpd
    return found


_MAIN = """
compatibility_level = 3.6
myhostname = relay.example.com
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
message_size_limit = {size}
mailbox_size_limit = 0
relayhost = [localhost]:{port}
smtp_host_lookup = native
smtp_tls_security_level = verify
smtp_tls_CAfile = /etc/postfix/authority.pem
smtp_tls_secure_cert_match = hostname
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:/etc/postfix/login
smtp_sasl_security_options = noanonymous
smtp_sasl_mechanism_filter = plain
minimal_backoff_time = 5s
queue_run_delay = 5s
"""
"""With retries after 5 seconds, where its default is 300."""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       5       1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


def _in_box(layer: Path) -> str:
    """Return a script that runs Postfix in its overlay, with this machine's network."""
    root, memory = shlex.quote(str(_BOX / "root")), shlex.quote(str(layer.parent / "memory"))
    return f"""
mount --make-rprivate /
mkdir -p {memory} && mount -t tmpfs tmpfs {memory} && mkdir {memory}/work
cp -a {_BOX / "upper"} {memory}/upper
mount -t overlay overlay -o lowerdir=/,upperdir={memory}/upper,workdir={memory}/work {root}
cp -r --no-preserve=ownership {shlex.quote(str(layer))}/. {root}/
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount -t tmpfs tmpfs {root}/run
exec chroot {root} postfix start-fg
"""


@contextmanager
def _running(command: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    """Run *command* until the block ends; its log goes to a file that is not kept."""
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield started.pid
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _trusting(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.authority)
