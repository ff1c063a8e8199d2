"""The page about operations is true: its commands work in their order, and its figures are the code's."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
import pytest
from sqlalchemy import QueuePool, text

from mailsettings.auth import passwords
from mailsettings.cli import main
from mailsettings.cli.serving.start import WORKER_EXIT_MARGIN_SECONDS
from mailsettings.settings import PREFIX, Settings
from mailsettings.store import engine

from support import commands
from support.manifests import BY_KIND, PODS, variables
from support.postgres import Postgres
from support.processes import clean_environment, free_port, serving

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
TEXT = PAGE.read_text()
MOVED_TO = "postgresql://mailsettings_a:…@…/mailsettings"
STATED = "http://127.0.0.1:8080"
SCRIPT = re.compile(r"^(mailsettings|curl|umask|head|cat|export) ")
"""What a line begins with that belongs to a script, and is not for a cluster or a file of settings."""


@dataclass(frozen=True)
class Step:
    """Something to do, by SQL or by a shell, on a database of this kind."""

    kind: str
    what: str
    is_sql: bool


def steps() -> Iterator[Step]:
    """The commands in the order of the page; the mark says on which database, and holds until a heading."""
    kind, of_kind = "", re.compile(r"<!-- run on (\w+) -->")
    for part in re.split(r"\n{2,}", TEXT):
        mark = of_kind.fullmatch(part)
        lines = [line[4:] for line in part.splitlines() if line.startswith("    ")]
        if mark:
            kind = mark[1]
        elif part.startswith("#"):
            kind = ""
        elif part.startswith("```sql\n"):
            yield Step("postgresql", part.removeprefix("```sql\n").removesuffix("```"), is_sql=True)
        elif lines and SCRIPT.match(lines[0]):
            yield Step(kind, "\n".join(lines), is_sql=False)


STEPS = list(steps())


class Shell:
    """Runs scripts in one folder in order; each has the variables that earlier scripts exported."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = dict(environment) | {"PATH": f"{commands.programs()}:{environment['PATH']}"}

    def run(self, script: str) -> str:
        """What it prints."""
        exported = self._folder / "exported"
        ran = subprocess.run(
            ["bash", "-ec", f"{script}\nenv -0 > {exported}"],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        self.environment = dict(
            pair.split("=", 1)
            for pair in exported.read_text().split("\0")
            if pair and not pair.startswith("BASH_")
        )
        return ran.stdout

    def run_where_it_is_served(self, script: str) -> str:
        """With the address of a running service instead of the page's example."""
        if STATED not in script:
            return self.run(script)
        with serving(self.environment) as (url, _):
            return self.run(script.replace(STATED, url))


@pytest.fixture
def roles(postgres: Postgres) -> Iterator[Postgres]:
    """A server that has none of the roles and databases of the page, before and after."""
    yield postgres
    postgres.execute("DROP DATABASE IF EXISTS mailsettings WITH (FORCE)")
    for role in ("mailsettings_a", "mailsettings_b", "mailsettings"):
        postgres.execute(f"DROP ROLE IF EXISTS {role}")


def test_every_command_is_marked_with_its_database() -> None:
    lines = [line[4:] for line in TEXT.splitlines() if line.startswith("    ")]

    assert {step.kind for step in STEPS} == {"sqlite", "postgresql"}
    assert {line for line in lines if SCRIPT.match(line)} == {
        line for step in STEPS if not step.is_sql for line in step.what.splitlines()
    }
    assert {line.split("=")[0].split()[0] for line in lines if not SCRIPT.match(line)} == {
        *("kubectl", "openssl", "printf", "(3", f"{PREFIX}DATABASE_URL")  # tests of their own
    }


def test_the_commands_work_on_sqlite_and_after_the_move(tmp_path: Path, empty_postgres_url: str) -> None:
    shell = Shell(tmp_path, clean_environment(tmp_path / "data"))
    shell.run("mailsettings migrate")  # the page is about an installation that exists
    scripts = [step.what.replace(MOVED_TO, empty_postgres_url) for step in STEPS if step.kind == "sqlite"]
    told = [shell.run(script) for script in scripts]

    assert any("resealed." in text for text in told)
    assert "all as they were written" in told[-1]  # by then on PostgreSQL
    assert shell.environment[f"{PREFIX}DATABASE_URL"] == empty_postgres_url


def test_the_commands_work_on_postgresql(roles: Postgres, tmp_path: Path) -> None:
    """By the role that each step has come to, which no step but the first lacks a database for."""
    shell, told = Shell(tmp_path, clean_environment(tmp_path / "no-disk")), ""
    for step in (step for step in STEPS if step.kind == "postgresql"):
        if step.is_sql:
            for statement in filter(None, (part.strip() for part in step.what.split(";"))):
                roles.execute(statement)
            role = re.findall(r"CREATE ROLE (\w+) LOGIN", step.what)
            if role:
                url = roles.url("mailsettings").replace("postgres@", f"{role[0]}@")
                shell.environment[f"{PREFIX}DATABASE_URL"] = url
        else:
            told += shell.run_where_it_is_served(step.what)
            shell.environment.setdefault(f"{PREFIX}ENCRYPTION_KEYS_FILE", str(tmp_path / "sealing-keys"))

    assert '{"status":"ready"}' in told
    assert f"remove its line from {tmp_path / 'to-seal'}." in told
    assert not (tmp_path / "no-disk").exists()
    with psycopg.connect(url) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert owners.fetchall() == [("mailsettings",)]
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(url.replace("mailsettings_b@", "mailsettings_a@"))


def test_an_address_of_several_servers_leads_to_the_primary(postgres_url: str) -> None:
    (url,) = re.findall(rf"^    {PREFIX}DATABASE_URL=(\S+)$", TEXT, flags=re.MULTILINE)
    for stated, real in {
        "mailsettings_a:…@": "postgres@",
        "db1.example.org:5432": f"127.0.0.1:{free_port()}",
        "db2.example.org:5432/mailsettings": postgres_url.partition("@")[2],
    }.items():
        assert stated in url
        url = url.replace(stated, real)
    database = engine.sync_engine(url)
    with database.connect() as connection:
        answer = connection.execute(text("SELECT 1")).scalar()
    database.dispose()

    assert answer == 1


async def test_a_process_opens_the_documented_number_of_connections() -> None:
    pool = engine.async_engine("postgresql://nobody@127.0.0.1/nothing").pool
    assert isinstance(pool, QueuePool)
    pooled = pool.size() + pool._max_overflow  # noqa: SLF001  # SQLAlchemy has no public name for it
    most = pooled + 1  # the connection that asks for the data version
    (sum_,) = re.findall(r"^    \((\d+) \+ (\d+)\) \S (\d+) \+ (\d+) = (\d+)$", TEXT, flags=re.MULTILINE)
    replicas, surge, each, typed, total = map(int, sum_)
    spec = BY_KIND["Deployment"]["spec"]

    assert f"mailsettings_database_pool_in_use >= {pooled}\n" in TEXT
    assert f"keeps up to {pool.size() + 1} open and opens {most} at most" in TEXT
    assert (each, typed) == (most, most)
    assert (replicas, surge) == (spec["replicas"], spec["strategy"]["rollingUpdate"]["maxSurge"])
    assert (replicas + surge) * most + most == total


def test_the_figures_are_those_of_the_code() -> None:
    tests_at_once = Settings.model_fields["smtp_max_concurrent_tests"].default

    assert f"`{PREFIX}SMTP_MAX_CONCURRENT_TESTS`, {tests_at_once} a process" in TEXT
    assert f"`{PREFIX}GRACE_TIMEOUT_SECONDS` ({Settings.model_fields['grace_timeout_seconds'].default})" in TEXT
    assert f"for the sum of both and {WORKER_EXIT_MARGIN_SECONDS} seconds" in TEXT
    assert (
        f"`{PREFIX}KEEP_ALIVE_TIMEOUT_SECONDS` ({Settings.model_fields['keep_alive_timeout_seconds'].default})"
        in TEXT
    )
    assert passwords.MAX_CONCURRENT_HASHES == 4
    assert "64 MiB each, four at once in a process" in TEXT


def test_every_setting_and_every_command_that_is_named_exists() -> None:
    settings = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", TEXT)}
    named = set(re.findall(r"mailsettings ([a-z-]+)(?=[ `\n])", "\n".join(re.findall(r"`[^`\n]+`", TEXT))))

    assert settings <= set(Settings.model_fields)
    assert named <= set(main.list_commands(click.Context(main)))


def test_commands_of_the_page_name_objects_of_the_manifests() -> None:
    lines = [line.strip() for line in TEXT.splitlines() if line.startswith("    kubectl")]
    named = {tuple(found.split("/")) for line in lines for found in re.findall(r"\b(?:job|deployment)/\S+", line)}
    secrets = dict(re.findall(r"secret generic (\S+) --from-file=([\w-]+)", "\n".join(lines)))
    database = variables("Deployment")[f"{PREFIX}DATABASE_URL"]["valueFrom"]["secretKeyRef"]
    (keys,) = (volume["secret"] for volume in PODS["Deployment"]["spec"]["volumes"] if "secret" in volume)

    assert named == {(kind.lower(), BY_KIND[kind]["metadata"]["name"]) for kind in ("Job", "Deployment")}
    admin = variables("Deployment")[f"{PREFIX}ADMIN_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert secrets == {
        database["name"]: database["key"],
        keys["secretName"]: "sealing-keys",
        admin["name"]: admin["key"],
    }
    assert variables("Deployment")[f"{PREFIX}ENCRYPTION_KEYS_FILE"]["value"].endswith("/sealing-keys")
    assert all("-n mailsettings" in line or " -f " in line or " -k " in line for line in lines)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_every_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in TEXT.splitlines()}

    assert not path or (PAGE.parent / path).exists()
    assert not anchor or path or anchor in headings
