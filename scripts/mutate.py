"""Break the rules one by one and see whether a test notices; prints the score, ends with 1 below 90 %.

Survivors that cannot be told from the original are explained in docs/mutation.md, and do not count.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

AIM = 90.0
TOOL = str(Path(sys.executable).with_name("mutmut"))
EXPLAINED = re.compile(r"^- `(mailsettings\.[^`]+)`", re.MULTILINE)
KILLED = {"killed", "timeout", "caught by type check"}


def main(*modules: str) -> None:
    """Try every mutant of *modules* (dotted, without the package), or of all that `pyproject.toml` names."""
    patterns = [f"mailsettings.{module}.*" for module in modules]
    subprocess.run([TOOL, "run", *patterns], check=True)
    told = subprocess.run([TOOL, "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    results = dict(line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line)
    explained = set(EXPLAINED.findall(Path("docs/mutation.md").read_text()))
    tried = {
        name: result
        for name, result in results.items()
        if result != "not checked" and not (result == "survived" and name in explained)
    }
    for name in sorted(name for name, result in tried.items() if result not in KILLED):
        print(f"  {tried[name]:12} {name}")
    killed = sum(result in KILLED for result in tried.values())
    score = 100 * killed / max(1, len(tried))
    print(f"{dict(Counter(results.values()))}\n{killed} of {len(tried)} found out: {score:.1f} %")
    sys.exit(0 if score >= AIM else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
