"""`make` installs a lock with the pip that this Python brings, and each lock has all that its packages need."""

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.lock_install import LOCKED, bundled_pip, installed_versions

ROOT = Path(__file__).parents[1]
GROUPS = {"requirements.lock": "build", "requirements-dev.lock": "dev"}


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_installs_where_newer_versions_exist(tmp_path: Path, lock: str) -> None:
    assert installed_versions(tmp_path, bundled_pip(), lock) == ["1.0"] * 4


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package that *lock* has for this machine."""
    lines = re.findall(r"^(\S+)==(\S+)(?: ; (.*?))? \\$", (ROOT / lock).read_text(), flags=re.MULTILINE)
    markers = {name: Requirement(f"{name}; {marker}").marker for name, _, marker in lines if marker}
    here = [pin for pin in lines if (marker := markers.get(pin[0])) is None or marker.evaluate()]
    return {canonicalize_name(name): version for name, version, _ in here}


def group(project: Any, name: str) -> Iterator[str]:
    """Yield the requirements of a dependency group, with those of the groups that it includes."""
    for entry in project["dependency-groups"][name]:
        yield from [entry] if isinstance(entry, str) else group(project, entry["include-group"])


def needs(lines: Iterable[str], extras: Collection[str] = ()) -> Iterator[Requirement]:
    """Yield the requirements of *lines* that hold on this machine, with the *extras* that are asked for."""
    for requirement in map(Requirement, lines):
        marker, requirement.marker = requirement.marker, None
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or [""]):
            yield requirement


@pytest.mark.parametrize("lock", GROUPS)
def test_a_lock_has_all_that_its_packages_need(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [*needs([*project["project"]["dependencies"], *group(project, GROUPS[lock])])]
    locked, seen = pins(lock), dict[str, str]()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) not in seen:
            seen[str(requirement)] = name = canonicalize_name(requirement.name)
            assert name in locked, f"{lock} lacks {requirement}"
            assert requirement.specifier.contains(locked[name], prereleases=True), f"{requirement}: {locked[name]}"
            assert metadata.version(name) == locked[name], f"{name} is not as locked: run make"
            waiting += needs(metadata.requires(name) or [], requirement.extras)

    assert locked.keys() == {*seen.values()}
