"""`docker-compose.yml` as the real Compose reads it, without an engine."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Config = Mapping[str, Any]


def read_compose_file(folder: Path, *options: str, **environment: str) -> Config:
    """What Compose makes of the file, with *environment* alone and no `.env`; it keeps its own in *folder*."""
    program = Path(sys.executable).with_name("docker-compose")
    nothing = folder / "nothing.env"
    nothing.touch()
    command = [str(program), "--env-file", str(nothing), "--file", str(ROOT / "docker-compose.yml"), *options]
    done = subprocess.run(
        [*command, "config", "--format", "json"],
        env={"HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: Config = json.loads(done.stdout)
    return found


def conditions(service: Config) -> dict[str, str]:
    """What has to be done or there before *service* starts."""
    return {name: need["condition"] for name, need in service["depends_on"].items()}
