"""Both locks install with the oldest pip of each Python: 3.11.0 brings pip 22.3, 3.13.0 brings 24.2.

See Lib/ensurepip/__init__.py of CPython at the tags v3.11.0 and v3.13.0.
"""

from pathlib import Path

import pytest

from support.external_programs import program
from support.lock_install import LOCKED, installed_versions


@pytest.mark.parametrize("pip", ["pip 22.3", "pip 24.2"])
@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_installs_with_an_old_pip(tmp_path: Path, lock: str, pip: str) -> None:
    assert installed_versions(tmp_path, Path(program(pip)), lock) == ["1.0"] * 4
