"""The programs that the tests in `tests/real` need and this project does not bring: where each is, how to get it.

A test says `@pytest.mark.needs("caddy")`, or asks `program("caddy")` for its path. Where the program is missing,
the test is skipped by name. To use another program, add a line to `PROGRAMS`.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".real"
"""Ignored by git: tools that are no system packages: files, `npm install --prefix .real`, and `.real/venv`."""


class Program(NamedTuple):
    """The names that it goes by, and what to do to get it."""

    commands: Sequence[str]
    how: str


_NPM = "npm install --prefix .real"
_GENERATORS = (
    "python3 -m venv .real/venv && .real/venv/bin/pip install openapi-python-client openapi-generator-cli mypy "
    "pydantic python-dateutil pytest types-python-dateutil urllib3"
)
PROGRAMS: Mapping[str, Program] = {
    "apache2": Program(["apache2"], "apt-get install apache2"),
    "better-sqlite3": Program(["better_sqlite3.node"], f"{_NPM} better-sqlite3 express jsonwebtoken morgan"),
    "caddy": Program(["caddy"], "apt-get install caddy; version 2.6 or newer"),
    "chromium": Program(["chromium", "chromium-browser", "google-chrome"], "apt-get install chromium"),
    "curl": Program(["curl"], "apt-get install curl"),
    "geronimo-annotation.jar": Program(
        ["geronimo-annotation-1.3-spec.jar"], "apt-get install libgeronimo-annotation-1.3-spec-java"
    ),
    "go": Program(["go"], "apt-get install golang-go; version 1.18 or newer"),
    "haproxy": Program(["haproxy"], "apt-get install haproxy"),
    "httpmime.jar": Program(["httpmime.jar"], "apt-get install libhttpmime-java"),
    "java": Program(["java"], "apt-get install default-jdk-headless; version 17 or newer"),
    "javac": Program(["javac"], "apt-get install default-jdk-headless; version 17 or newer"),
    "kubectl": Program(["kubectl"], "apt-get install kubernetes-client, or kubectl of kubernetes.io"),
    "nginx": Program(["nginx"], "apt-get install nginx-light"),
    "node": Program(["node"], "apt-get install nodejs; version 20 or newer"),
    "oidc-provider": Program(["provider.js"], f"{_NPM} oidc-provider@9"),
    "nodemailer": Program(["nodemailer.js"], f"{_NPM} nodemailer"),
    "openapi-generator": Program(["openapi-generator-cli"], _GENERATORS),
    "openapi-python-client": Program(["openapi-python-client"], _GENERATORS),
    "openapi-typescript": Program(["openapi-typescript"], f"{_NPM} openapi-typescript openapi-fetch"),
    "orval": Program(["orval"], f"{_NPM} orval"),
    "pip 22.3": Program(["pip-22.3-py3-none-any.whl"], "pip download --no-deps --dest .real pip==22.3"),
    "pip 24.2": Program(["pip-24.2-py3-none-any.whl"], "pip download --no-deps --dest .real pip==24.2"),
    "pipx": Program(["pipx"], "apt-get install pipx"),
    **{
        name: Program([f"{name}.installed"], "sudo make mta")
        for name in ("dovecot", "exim", "opensmtpd", "postfix", "sendmail")
    },
    "pgbouncer": Program(["pgbouncer"], "apt-get install pgbouncer"),
    "msmtp": Program(["msmtp"], "apt-get install msmtp"),
    "nc": Program(["nc"], "apt-get install netcat-openbsd"),
    "php": Program(["php"], "apt-get install php-cli"),
    "prism": Program(["prism"], f"{_NPM} @stoplight/prism-cli"),
    "prometheus": Program(["prometheus"], "apt-get install prometheus; it brings promtool"),
    "redocly": Program(["redocly"], f"{_NPM} @redocly/cli"),
    "spectral": Program(["spectral"], f"{_NPM} @stoplight/spectral-cli"),
    "strace": Program(["strace"], "apt-get install strace"),
    "swaks": Program(["swaks"], "apt-get install swaks"),
    "tsc": Program(["tsc"], f"{_NPM} typescript@5 @types/node@20"),
    "validator.go": Program(["validator.go"], "apt-get install golang-gopkg-validator.v2-dev"),
    "wget": Program(["wget"], "apt-get install wget"),
}


def find(name: str) -> str | None:
    """Return the path of a program of `PROGRAMS`, or None where it is missing."""
    path = os.pathsep.join(map(str, _folders()))
    found = (shutil.which(command, os.F_OK, path) for command in PROGRAMS[name].commands)
    return next(filter(None, found), None)


def program(name: str) -> str:
    """Return the path of a program; skip the test where it is missing."""
    return find(name) or pytest.skip(f"{name} is missing: {PROGRAMS[name].how}")


def missing() -> list[str]:
    """Name each program that is missing, with how to get it."""
    return [f"{name}: {wanted.how}" for name, wanted in sorted(PROGRAMS.items()) if find(name) is None]


def _folders() -> Iterator[Path]:
    yield from map(Path, os.get_exec_path())
    yield TOOLS / "node_modules" / "better-sqlite3" / "build" / "Release"
    yield TOOLS / "node_modules" / "oidc-provider" / "lib"
    yield TOOLS / "node_modules" / "nodemailer" / "dist" / "cjs"
    yield TOOLS / "node_modules" / "nodemailer" / "lib"  # before version 10
    yield from (
        TOOLS,
        TOOLS / "node_modules" / ".bin",
        TOOLS / "venv" / "bin",
        Path("/usr/share/java"),
        Path("/usr/share/gocode/src/gopkg.in/validator.v2"),
    )
    yield from sorted(Path.home().glob(".pyenv/versions/*/bin"), reverse=True)  # for other versions of Python
