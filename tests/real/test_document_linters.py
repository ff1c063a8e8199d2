"""Public linters find no error in the committed OpenAPI documents."""

import os
import subprocess
from pathlib import Path

import pytest

from support.external_programs import ROOT, program

DOCUMENTS = sorted((ROOT / "docs" / "openapi").glob("*.json"))

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def lint(*command: str | Path, folder: Path) -> None:
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"


@pytest.mark.needs("node")
@each_document
def test_spectral_reports_no_error(document: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('extends: ["spectral:oas"]\n')

    lint(program("spectral"), "lint", "--ruleset", rules, "--fail-severity", "error", document, folder=tmp_path)


@pytest.mark.needs("node")
@each_document
def test_redocly_reports_no_error(document: Path, tmp_path: Path) -> None:
    lint(program("redocly"), "lint", document, folder=tmp_path)


@pytest.mark.needs("node")
def test_the_linters_find_an_error_where_one_is(tmp_path: Path) -> None:
    document = tmp_path / "broken.json"
    document.write_text(DOCUMENTS[0].read_text().replace('"responses"', '"answers"'))

    with pytest.raises(AssertionError):
        test_spectral_reports_no_error(document, tmp_path)
    with pytest.raises(AssertionError):
        test_redocly_reports_no_error(document, tmp_path)
