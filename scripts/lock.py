"""Renew all locks from pyproject.toml, hashed and without any host name."""

import subprocess
import sys
from pathlib import Path

COMPILE = [
    *("uv", "pip", "compile", "pyproject.toml", "--generate-hashes", "--universal", "--upgrade", "--quiet"),
    *("--python-version", "3.11", "--no-header", "--no-annotate"),
    *("--no-emit-index-url", "--no-emit-find-links"),
]


def main() -> None:
    """Write all locks; reject a lock that names a download location."""
    for lock, group, *extra in (
        ("requirements.lock", "build"),
        ("requirements-tracing.lock", "build", "--extra", "tracing"),
        ("requirements-dev.lock", "dev"),
    ):
        command = [str(Path(sys.executable).with_name(COMPILE[0])), *COMPILE[1:]]
        subprocess.run([*command, "--group", group, *extra, "--output-file", lock], check=True)
        if "://" in Path(lock).read_text():
            sys.exit(f"{lock} names a host; look at the pip and uv configuration of this machine")


if __name__ == "__main__":
    main()
