"""Look up known vulnerabilities of every package in the locks; fail if the answer does not cover all of them.

pip-audit by itself exits with 0 even if it skipped packages that it could not look up.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TOOL = [
    *(str(Path(sys.executable).with_name("pip-audit")), "--strict", "--disable-pip", "--require-hashes"),
    *("--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off"),
]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)([^\\\n]*)", re.MULTILINE)


def locked(lock: str) -> set[tuple[str, str]]:
    """Return name and version of every pin in a lock that applies to this platform."""
    return {(_normal(name), version) for name, version, marker in _PIN.findall(lock) if ";" not in marker}


def problems(lock: str, status: int, output: str) -> list[str]:
    """Return the problems in the tool's answer for *lock*; an empty text if there are none."""
    try:
        answers = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [f"pip-audit gave no report and ended with {status}"]
    skipped = [f"{one['name']} was skipped: {one['skip_reason']}" for one in answers if "skip_reason" in one]
    found = [f"{one['name']} {one['version']}: {hole['id']}" for one in answers for hole in one.get("vulns", [])]
    asked = {(_normal(one["name"]), one["version"]) for one in answers if "vulns" in one}
    missing = [f"{name} {version} was not asked about" for name, version in sorted(locked(lock) - asked)]
    failed = [f"pip-audit ended with {status}"] if status and not (skipped or found or missing) else []
    nothing = [] if locked(lock) else ["the lock has no pins"]
    return [*nothing, *found, *skipped, *missing, *failed]


def main(*locks: str, tool: Sequence[str] = TOOL) -> None:
    """Audit each of *locks* with *tool*; exit with 1 if any has a problem."""
    whole = []
    for lock in locks:
        asked = subprocess.run([*tool, "--requirement", lock], capture_output=True, text=True, check=False)
        text = Path(lock).read_text()
        found = problems(text, asked.returncode, asked.stdout)
        print(f"{lock}: {len(locked(text))} packages, {len(found)} problems")
        whole += [*found, *([asked.stderr.strip()[-300:]] if found else [])]
    for line in whole:
        print(f"  {line}")
    sys.exit(1 if whole or not locks else 0)


def _normal(name: str) -> str:
    """Return *name* normalised as PEP 503 specifies."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(*sys.argv[1:])
