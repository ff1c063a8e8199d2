"""`docker compose up` is a whole and hardened set-up: read by the real Compose, without an engine."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from mailsettings import __version__
from mailsettings.settings import PREFIX, Settings

from support.compose import ROOT, Config, conditions, read_compose_file

LOCAL_DEFAULT = "local-only"
SECRET = "canary7d1f"
OURS = ["mailsettings", "migrate"]


@pytest.fixture
def services(tmp_path: Path) -> Mapping[str, Config]:
    """The services as they are without any preparation."""
    found: Mapping[str, Config] = read_compose_file(tmp_path)["services"]
    return found


def dockerfile(instruction: str) -> list[str]:
    """The arguments of every *instruction* of the Dockerfile."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [line.removeprefix(f"{instruction} ") for line in lines if line.startswith(f"{instruction} ")]


def copied() -> list[str]:
    """What the Dockerfile copies from this folder."""
    lines = [line.split() for line in dockerfile("COPY")]
    return [source for line in lines if not line[0].startswith("--from") for source in line[:-1]]


@pytest.mark.parametrize("name", [*OURS, "mailpit"])
def test_a_container_can_do_no_more_than_it_needs(services: Mapping[str, Config], name: str) -> None:
    service = services[name]

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["tmpfs"] == ["/tmp"]
    assert not service.get("privileged", False)


def test_service_starts_after_migration_and_migration_after_the_database(
    services: Mapping[str, Config],
) -> None:
    assert conditions(services["mailsettings"]) == {
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    assert conditions(services["migrate"]) == {"postgres": "service_healthy"}
    assert (services["migrate"]["command"], services["migrate"]["restart"]) == (["migrate"], "no")


def test_the_health_check_asks_whether_the_service_is_ready(
    services: Mapping[str, Config],
) -> None:
    kind, python, flag, program = services["mailsettings"]["healthcheck"]["test"]
    compile(program, "health check", "exec")

    assert (kind, python, flag) == ("CMD", "python", "-c")
    assert "http://127.0.0.1:8080/health/ready" in program


def test_every_port_is_open_to_this_machine_only(services: Mapping[str, Config]) -> None:
    ports = {
        (name, port["host_ip"], port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }

    assert {
        ("mailsettings", "127.0.0.1", 8080),
        ("mailpit", "127.0.0.1", 1025),
        ("mailpit", "127.0.0.1", 8025),
    } == ports


def test_the_keys_and_the_database_outlive_their_containers(services: Mapping[str, Config]) -> None:
    volumes = {
        (name, volume["type"], volume["target"])
        for name, service in services.items()
        for volume in service.get("volumes", [])
    }

    assert {
        ("mailsettings", "volume", services["mailsettings"]["environment"]["MAILSETTINGS_DATA_DIR"]),
        ("postgres", "volume", "/var/lib/postgresql"),
    } == volumes


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_that_the_program_knows(services: Mapping[str, Config], name: str) -> None:
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}

    assert set() == set(services[name]["environment"]) - known


def test_the_settings_are_valid(services: Mapping[str, Config], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in services["mailsettings"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()

    assert (settings.embedded, settings.admin_password) == (False, None)


def test_both_sides_know_the_password_that_the_environment_gives(tmp_path: Path) -> None:
    services = read_compose_file(tmp_path, POSTGRES_PASSWORD=SECRET)["services"]

    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == SECRET
    assert all(f":{SECRET}@" in services[name]["environment"]["MAILSETTINGS_DATABASE_URL"] for name in OURS)
    assert LOCAL_DEFAULT not in json.dumps(services)


def test_only_secret_in_the_file_is_the_local_default(services: Mapping[str, Config]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    passwords = re.findall(r"(?:PASSWORD|SECRET|TOKEN|KEY): *(\S+)|://\w+:([^@\s]+)@", text)

    assert {f"${{POSTGRES_PASSWORD:-{LOCAL_DEFAULT}}}", "${MAILSETTINGS_ADMIN_PASSWORD:-}"} == {
        found for pair in passwords for found in pair if found
    }
    assert services["mailsettings"]["environment"]["MAILSETTINGS_ADMIN_PASSWORD"] == ""


def test_every_image_is_of_a_named_version(services: Mapping[str, Config]) -> None:
    foreign = [service["image"] for service in services.values() if "build" not in service]
    images = [*foreign, *(line.partition(" AS ")[0] for line in dockerfile("FROM"))]

    assert [image for image in images if not re.fullmatch(r"[\w/]+:v?\d+\.\d+[\w.-]*", image)] == []


def test_image_starts_this_projects_command_and_not_as_root() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entrypoint,) = dockerfile("ENTRYPOINT")
    (command,) = dockerfile("CMD")

    assert json.loads(entrypoint) == ["mailsettings"]
    assert "mailsettings" in scripts
    assert json.loads(command) == ["serve"]
    assert any("MAILSETTINGS_HOST=0.0.0.0" in line for line in dockerfile("ENV"))
    assert dockerfile("USER") == ["10001:10001"]


def test_the_image_installs_hashed_libraries_before_the_project() -> None:
    installs = [line for line in dockerfile("RUN") if "pip install" in line]

    assert installs == [
        'pip install --no-deps --require-hashes --requirement "$LOCK"',
        "pip install --no-deps --no-build-isolation .",
    ]
    assert dockerfile("ARG") == ["LOCK=requirements.lock"]


def test_the_lock_with_tracing_adds_packages_alone() -> None:
    plain, tracing = [
        dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-tracing.lock")
    ]

    assert plain.items() <= tracing.items()
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= tracing.keys() - plain.keys()


def test_the_image_has_labels_and_checks_its_health(services: Mapping[str, Config]) -> None:
    text = (ROOT / "Dockerfile").read_text()
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', text))
    (check,) = re.findall(r"HEALTHCHECK .*\\\n +CMD (\[.+\])", text)
    *_, program = json.loads(check)
    compile(program, "health check", "exec")

    assert (labels["version"], labels["licenses"]) == (__version__, "Apache-2.0")
    assert "/health/ready" in program
    assert {"mailsettings"} <= {name for name, each in services.items() if "healthcheck" in each}


def test_every_source_of_image_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert [path for path in copied() if not (ROOT / path).exists()] == []
    assert "*" in ignored
    assert set(copied()) == {line.removeprefix("!") for line in ignored if line.startswith("!")}


def test_the_build_gets_every_source_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    named = [project["project"]["readme"], *project["project"]["license-files"], *wheel["force-include"]]

    assert set() == {*named, "pyproject.toml", *(path.split("/")[0] for path in wheel["packages"])} - {*copied()}


def test_the_relay_is_a_service_of_its_own_by_a_profile(tmp_path: Path) -> None:
    services = read_compose_file(tmp_path, "--profile", "relay")["services"]
    relay, service = services["relay"], services["mailsettings"]
    (port,) = relay["ports"]

    assert relay["command"] == ["relay", "--dev"]
    assert relay["volumes"] == service["volumes"]
    assert set(service["environment"].items()) < set(relay["environment"].items())
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 2587)
    assert relay["environment"]["MAILSETTINGS_RELAY_LISTEN"] == f"starttls://0.0.0.0:{port['target']}"
    assert relay["environment"]["MAILSETTINGS_RELAY_STATUS_LISTEN"] in relay["healthcheck"]["test"][3]
    assert {key: relay[key] for key in ("user", "read_only", "cap_drop", "security_opt", "tmpfs")} == {
        key: service[key] for key in ("user", "read_only", "cap_drop", "security_opt", "tmpfs")
    }
