"""Commands as processes that begin at the same moment, forked from a process with loaded imports.

That is cheaper than as many starts of Python, and a closer race.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.timeouts import GUARD_SECONDS

END_SECONDS = GUARD_SECONDS
STARTED = "started"


@dataclass
class Commands:
    """Those that run, and the file that each writes to."""

    parent: subprocess.Popen[str]
    outputs: Sequence[Path]

    def tell(self, number: signal.Signals) -> None:
        """Send all of them a signal; their parent ignores it."""
        os.killpg(self.parent.pid, number)

    def statuses(self) -> Sequence[int]:
        """Their exit statuses, once all have ended."""
        said, _ = self.parent.communicate(timeout=END_SECONDS)
        statuses: list[int] = json.loads(said)
        return statuses


@contextmanager
def at_once(environment: dict[str, str], folder: Path, commands: Sequence[Sequence[str]]) -> Iterator[Commands]:
    """All *commands* of `mailsettings`, with an output each in *folder*."""
    outputs = [folder / f"{number}.log" for number in range(len(commands))]
    work = json.dumps([list(map(str, outputs)), list(map(list, commands))])
    program = [sys.executable, "-m", "support.parallel_commands", work]
    environment = environment | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == STARTED
        try:
            yield Commands(parent, outputs)
        finally:
            if parent.poll() is None:
                os.killpg(parent.pid, signal.SIGKILL)


def _main(outputs: Sequence[str], commands: Sequence[Sequence[str]]) -> None:
    from mailsettings import bootstrap  # noqa: F401, PLC0415  # what `serve` imports when it serves
    from mailsettings.cli import main  # noqa: PLC0415  # not where this module is imported by tests

    gate, opener = os.pipe()
    children = []
    for output, command in zip(outputs, commands, strict=True):
        child = os.fork()
        if not child:
            os.close(opener)
            file = os.open(output, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.read(gate, 1)  # ends when the parent has closed the other end
            main(command)
        children.append(child)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(opener)
    print(STARTED, flush=True)  # noqa: T201  # to the test
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])  # noqa: T201  # the same


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
