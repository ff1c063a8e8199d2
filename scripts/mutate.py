"""Break the rules one by one and report whether a test notices; exit with 1 if a score is below 90 %.

docs/mutation.md explains survivors that are equivalent to the original; they do not count. The tool reads the
tests to run from a file only, so each part of `tested.py` runs in its own folder below `mutants`.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from tested import PARTS, Part

AIM = 90.0
HOME = Path(__file__).parents[1]
TOOL = str(Path(sys.executable).with_name("mutmut"))
EXPLAINED = re.compile(r"`(mailsettings\.[^`]+__mutmut_\d+)`")
FOUND_OUT = "found out"
OUTCOMES = {1: FOUND_OUT, 3: FOUND_OUT, 0: "survived", 33: "no tests", -24: "out of time"}
"""The tool's exit statuses. It counts 255 as a timeout; mostly 255 means that it could not select a test."""


def main(*wanted: str) -> None:
    """Try every mutant of the modules *wanted* (`auth.tokens`; `auth` is a whole part), or of all."""
    parts = dict.fromkeys(_part_of(module) for module in wanted or PARTS)
    scores = []
    for name in parts:
        modules = [module for module in wanted if _part_of(module) == name and module not in PARTS]
        results = _by_module(_results(_folder(name, PARTS[name]), modules))
        scores += [_told(module, results[module]) for module in modules or results]
    sys.exit(0 if scores and min(scores) >= AIM else 1)


def _part_of(module: str) -> str:
    """Return the part of *module*."""
    inside = (name for name, part in PARTS.items() if name == module or f"mailsettings.{module}" in part.modules)
    return next(inside, module.partition(".")[0])


def _folder(name: str, part: Part) -> Path:
    """Create the folder for *part*: the configuration of the tool, and links to all files that it copies."""
    folder = HOME / "mutants" / name
    shutil.rmtree(folder, ignore_errors=True)  # the tool would reuse results from before a test changed
    folder.mkdir(parents=True)
    text = (HOME / "pyproject.toml").read_text()
    for entry in {"src", *tomllib.loads(text)["tool"]["mutmut"]["also_copy"]} - {"pyproject.toml"}:
        (folder / entry).symlink_to(HOME / entry)
    told = [
        "[tool.mutmut]",
        f"only_mutate = {json.dumps([_files(module) for module in part.modules])}",
        # The same lines run for both databases.
        f"pytest_add_cli_args_test_selection = {json.dumps(['-k', 'not postgresql', *part.tests])}",
    ]
    (folder / "pyproject.toml").write_text(text.replace("[tool.mutmut]", "\n".join(told)))
    return folder


def _files(module: str) -> str:
    """Return the path of *module*; of a package a pattern for all of its modules."""
    path = f"src/{module.replace('.', '/')}"
    return f"{path}/*" if (HOME / path).is_dir() else f"{path}.py"


def _results(folder: Path, modules: list[str]) -> dict[str, str]:
    patterns = [f"mailsettings.{module}.*" for module in modules]
    subprocess.run([TOOL, "run", *patterns], cwd=folder, check=True)
    notes = [json.loads(note.read_text()) for note in sorted((folder / "mutants/src").rglob("*.meta"))]
    statuses = {name: status for note in notes for name, status in note["exit_code_by_key"].items()}
    return {
        name: OUTCOMES.get(status, f"status {status}") for name, status in statuses.items() if status is not None
    }


def _by_module(results: dict[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, result in results.items():
        found.setdefault(name.rpartition(".")[0].removeprefix("mailsettings."), {})[name] = result
    return found


def _told(module: str, results: dict[str, str]) -> float:
    """Return the score of *module* in per cent, after printing it and the undetected mutants."""
    explained = set(EXPLAINED.findall((HOME / "docs/mutation.md").read_text()))
    left = {name: result for name, result in results.items() if result != FOUND_OUT and name not in explained}
    for name in sorted(left):
        print(f"  {left[name]:12} {name}")
    counted = [name for name, result in results.items() if result == FOUND_OUT or name not in explained]
    score = 100 * (len(counted) - len(left)) / max(1, len(counted))
    total = ", ".join(f"{count} {result}" for result, count in Counter(results.values()).items())
    print(f"{module}: {score:.1f} % of {len(counted)}; {total}")
    return score


if __name__ == "__main__":
    main(*sys.argv[1:])
