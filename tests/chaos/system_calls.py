"""What a running process asks of the kernel, by strace."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.external_programs import program
from support.timeouts import GUARD_SECONDS

_SENDING = "write,writev,sendto,sendmsg"
_TRACED = f"read,readv,recvfrom,recvmsg,{_SENDING},pwrite64,ftruncate,fsync,fdatasync,unlink,unlinkat"
_BEGUN = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<arguments>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)")
_ATTACHED_SECONDS = GUARD_SECONDS


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has returned; files and sockets in its arguments are named."""

    name: str
    arguments: str

    def syncs(self, file: Path) -> bool:
        """Whether *file* is on the disk after it."""
        return self.name in {"fsync", "fdatasync"} and f"<{file}>" in self.arguments

    def writes(self, file: Path) -> bool:
        """Whether it changes *file*."""
        return self.name in {*_SENDING.split(","), "pwrite64", "ftruncate"} and f"<{file}>" in self.arguments

    def removes(self, file: Path) -> bool:
        """Whether *file* is gone after it."""
        return self.name.startswith("unlink") and f'"{file}"' in self.arguments


@contextmanager
def traced(process: int, output: Path) -> Iterator[None]:
    """Note what *process* does while the block runs, also in threads that it starts."""
    command = [
        program("strace"),
        "-f",
        "-y",
        "-s",
        "64",
        "-e",
        f"trace={_TRACED}",
        "-o",
        str(output),
        "-p",
        str(process),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            _wait_until_attached(strace)
            yield
        finally:
            strace.terminate()


def calls(output: Path) -> list[Call]:
    """All calls in the order in which they returned."""
    found: list[Call] = []
    unfinished: dict[str, str] = {}
    for line in output.read_text(errors="replace").splitlines():
        if begun := _BEGUN.fullmatch(line):
            if begun["arguments"].endswith("<unfinished ...>"):
                unfinished[begun["thread"]] = begun["arguments"]
            else:
                found.append(Call(begun["name"], begun["arguments"]))
        elif resumed := _RESUMED.fullmatch(line):
            found.append(Call(resumed["name"], unfinished.pop(resumed["thread"], "") + resumed["arguments"]))
    return found


def _wait_until_attached(strace: "subprocess.Popen[str]") -> None:
    assert strace.stderr is not None
    end = time.monotonic() + _ATTACHED_SECONDS
    while "attached" not in strace.stderr.readline():
        if time.monotonic() > end or strace.poll() is not None:
            raise RuntimeError("strace did not attach")
