"""The parts of `deploy/kubernetes` to choose from are valid, hardened as the service, and about this program."""

from collections.abc import Iterator
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from mailsettings.cli import main
from mailsettings.settings import Settings

from support.manifests import FOLDER, KNOWN, Manifest, container, read

PARTS = ("sqlite", "ingress", "backup", "audit-verify", "prometheus")
JOBS = {"backup/backup.yaml": "backup", "audit-verify/verify.yaml": "audit"}


def manifests() -> Iterator[str]:
    """The resources of the parts that the API itself defines, by file."""
    for part in PARTS:
        for name in read(f"{part}/kustomization.yaml")["resources"]:
            if (FOLDER / part / name).is_file():
                yield f"{part}/{name}"


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", list(manifests()))
def test_every_manifest_of_a_part_is_valid(name: str, version: str) -> None:
    kubernetes_validate.validate(read(name), version, strict=True)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_a_component_of_all_its_files(part: str) -> None:
    component = read(f"{part}/kustomization.yaml")
    patches = {patch["path"] for patch in component.get("patches", []) if "path" in patch}
    local = {name for name in component["resources"] if not name.startswith("..")}

    assert component["kind"] == "Component"
    assert {*local, *patches, "kustomization.yaml"} == {path.name for path in (FOLDER / part).iterdir()}
    assert part in (FOLDER / "kustomization.yaml").read_text()


def pod_of(name: str) -> Manifest:
    spec: Manifest = read(name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", JOBS)
def test_the_pod_of_a_job_is_as_hardened_as_the_services(name: str) -> None:
    pod, service = pod_of(name), read("deployment.yaml")["spec"]["template"]["spec"]
    (only,) = pod["containers"]

    for key in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
        assert pod[key] == service[key]
    assert only["securityContext"] == container("Deployment")["securityContext"]
    assert only["resources"]["limits"] == container("Deployment")["resources"]["limits"]
    assert only["image"] == container("Deployment")["image"]


@pytest.mark.parametrize(("name", "command"), JOBS.items())
def test_a_job_runs_a_command_on_the_database_of_the_service(name: str, command: str) -> None:
    (only,) = pod_of(name)["containers"]
    service = {variable["name"]: variable for variable in container("Deployment")["env"]}
    words = " ".join(only["args"]).removeprefix("mailsettings ").split()

    assert words[0] == command
    assert command in main.list_commands(click.Context(main))
    assert all(variable == service[variable["name"]] for variable in only["env"])


def test_patches_name_settings_and_ports_of_the_program() -> None:
    def values(part: str) -> list[Any]:
        patches = [yaml.safe_load(patch["patch"]) for patch in read(f"{part}/kustomization.yaml")["patches"]]
        return [step["value"] for steps in patches for step in steps]

    port, variable, service, rule = values("prometheus")
    (patched,) = read("sqlite/deployment.yaml")["spec"]["template"]["spec"]["containers"]

    assert variable["name"] in KNOWN
    assert variable["value"] == f"0.0.0.0:{port['containerPort']}"
    assert (service["targetPort"], rule["ports"]) == (port["name"], [{"port": port["name"]}])
    assert "metrics_listen" in Settings.model_fields
    assert {each["name"] for each in patched["env"]} <= KNOWN
    assert [mount["mountPath"] for mount in patched["volumeMounts"] if "$patch" not in mount] == ["/data"]


@pytest.mark.parametrize("name", JOBS)
def test_sqlite_changes_the_first_volume_of_jobs_and_all_variables(name: str) -> None:
    (patch,) = [
        yaml.safe_load(each["patch"])
        for each in read("sqlite/kustomization.yaml")["patches"]
        if each.get("target") == {"kind": "CronJob"}
    ]
    pod = pod_of(name)
    (only,) = pod["containers"]
    server = read("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    (near,) = patch[3]["value"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert {each["name"] for each in only["env"]} == {
        "MAILSETTINGS_DATABASE_URL",
        "MAILSETTINGS_ENCRYPTION_KEYS_FILE",
    }
    assert only["volumeMounts"][0]["name"] == pod["volumes"][0]["name"] == "sealing-keys"
    assert near["labelSelector"]["matchLabels"].items() <= server.items()
