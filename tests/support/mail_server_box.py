"""Real mail servers, each in an overlay of this machine's files and in namespaces of its own.

`make mta` installs their packages, which exclude each other, into overlays below `.real/mta`. A test starts a
server in one of them with its own configuration, on a layer in memory, and connects from inside its network
namespace: nothing leaves this machine, and ports 25, 465 and 587 are free.
"""

import asyncio
import ctypes
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import trustme

from support.external_programs import TOOLS, program
from support.smtp_server import AUTHORITY, HOST

BOXES = TOOLS / "mta"
START_SECONDS = 60  # a guard against hanging
_CLONE_NEWNET = 0x40000000
_FILES = "/etc/mail-test"
_OWN_NETWORK = "ip link set lo up\nhostname mail.example.org"
T = TypeVar("T")


@dataclass(frozen=True)
class Box:
    """A running mail server; `inside` runs code where it can be reached."""

    process: subprocess.Popen[bytes]
    log: Path

    def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what *work* returns in a loop of its own, in the server's network namespace."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                _enter_network(self.process.pid)
                done.set_result(asyncio.run(_await(work)))
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                done.set_exception(error)

        threading.Thread(target=run).start()
        return done.result()

    @property
    def is_apart(self) -> bool:
        """Whether the network namespace has been made."""
        if self.process.poll() is not None:
            return False
        return Path(f"/proc/{self.process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()

    def lines(self) -> str:
        """Return what the server has logged so far."""
        return self.log.read_text(errors="replace")


async def _await(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _enter_network(pid: int) -> None:
    """A namespace is entered by a thread alone, and left when the thread ends (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(namespace)


def box_of(name: str) -> Path:
    """Return the overlay that *name* is installed in; skip the test if it is missing."""
    if os.geteuid() != 0:
        pytest.skip("mail servers need root: run `make real` as root")
    program(name)
    return BOXES / name


@contextmanager
def running(
    name: str, folder: Path, files: Mapping[str, str], start: str, ports: tuple[int, ...], *, apart: bool = True
) -> Iterator[Box]:
    """Run *start* in the box of *name* with *files*, and wait until *ports* take connections.

    Unless it is *apart*, it has the network of this machine, and *ports* do not count.
    """
    box, layer = box_of(name), folder / "layer"
    layer.mkdir()
    for path, text in {**files, **_certificate()}.items():
        place = layer / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o600 if path.endswith(".key") else 0o644)
    script = folder / "start"
    script.write_text(_script(box, layer, start, _OWN_NETWORK if apart else ""))
    log = folder / "log"
    with log.open("wb") as output:
        command = [
            "unshare",
            "--mount",
            *(["--net", "--uts"] if apart else []),
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-e",
            str(script),
        ]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    running_box = Box(process, log)
    try:
        if apart:
            _wait_for(running_box, ports)
        yield running_box
    finally:
        process.kill()
        process.wait(30)


def _certificate() -> dict[str, str]:
    """RSA, since OpenSMTPD of Debian 12 takes no elliptic curves from its privileged process."""
    leaf = AUTHORITY.issue_cert(HOST, "mail.example.org", key_type=trustme.KeyType.RSA)
    chain = "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems)
    return {f"{_FILES}.crt": chain, f"{_FILES}.key": leaf.private_key_pem.bytes().decode()}


def _script(box: Path, layer: Path, start: str, network: str) -> str:
    root, memory = shlex.quote(str(box / "root")), shlex.quote(str(layer.parent / "memory"))
    return f"""
mount --make-rprivate /
mkdir -p {memory} && mount -t tmpfs tmpfs {memory} && mkdir {memory}/work
cp -a {box / "upper"} {memory}/upper
mount -t overlay overlay -o lowerdir=/,upperdir={memory}/upper,workdir={memory}/work {root}
cp -r --no-preserve=ownership {shlex.quote(str(layer))}/. {root}/
mount -t proc proc {root}/proc
mount -t tmpfs tmpfs {root}/dev
for device in null zero full random urandom tty; do
  touch {root}/dev/$device
  mount --bind /dev/$device {root}/dev/$device
done
ln -s /proc/self/fd/1 {root}/dev/stdout
ln -s /proc/self/fd/2 {root}/dev/stderr
mkdir {root}/dev/pts {root}/dev/shm
mount -t tmpfs tmpfs {root}/run
mount -t tmpfs tmpfs {root}/tmp && chmod 1777 {root}/tmp
{network}
exec chroot {root} bash -c {shlex.quote(start)}
"""


def _wait_for(box: Box, ports: tuple[int, ...]) -> None:
    end = time.monotonic() + START_SECONDS
    while not (box.is_apart and box.inside(lambda: _all_open(ports))):
        assert box.process.poll() is None, box.lines()
        assert time.monotonic() < end, box.lines()
        time.sleep(0.1)


async def _all_open(ports: tuple[int, ...]) -> bool:
    for port in ports:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return False
        writer.close()
    return True
