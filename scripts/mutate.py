"""Break the rules one by one and see whether a test notices; prints the scores, ends with 1 if one is below 90 %.

Survivors that cannot be told from the original are explained in docs/mutation.md, and do not count. The tool takes
the tests to run from a file alone; so each part of `tested.py` is tried in a folder of its own below `mutants`.
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
"""What the tool's exit statuses mean. It takes 255 for a timeout; mostly a test cannot be called by its name."""


def main(*wanted: str) -> None:
    """Try every mutant of the modules *wanted* (`auth.tokens`; `auth` is all of that part), or of all."""
    parts = dict.fromkeys(_part_of(module) for module in wanted or PARTS)
    scores = []
    for name in parts:
        modules = [module for module in wanted if _part_of(module) == name and module not in PARTS]
        results = _by_module(_results(_folder(name, PARTS[name]), modules))
        scores += [_told(module, results[module]) for module in modules or results]
    sys.exit(0 if scores and min(scores) >= AIM else 1)


def _part_of(module: str) -> str:
    """The part that *module* is in; `store.sealing` is in the one of sealing."""
    inside = (name for name, part in PARTS.items() if name == module or f"mailsettings.{module}" in part.modules)
    return next(inside, module.partition(".")[0])


def _folder(name: str, part: Part) -> Path:
    """Where to try *part*: what the tool is told, and links to all that it copies."""
    folder = HOME / "mutants" / name
    shutil.rmtree(folder, ignore_errors=True)  # the tool would believe what it found before a test was changed
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
    """The score of *module* in per cent; it is printed, and what was not found out before it."""
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
