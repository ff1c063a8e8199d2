"""Kustomize builds the manifests with every part, into what the parts promise."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mailsettings import __version__

from support.compose import ROOT
from support.external_programs import program

OPERATOR = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
"""Kinds of the Prometheus Operator, which the API does not define."""
Built = Mapping[str, Any]
Build = Callable[..., Built]

pytestmark = pytest.mark.needs("kubectl")


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build the manifests with some parts; return them by kind and name."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    folder = tmp_path / "deploy" / "kubernetes"

    def built(*parts: str) -> Built:
        with (folder / "kustomization.yaml").open("a") as file:
            file.write(f"components: [{', '.join(parts)}]\n")
        command = [program("kubectl"), "kustomize", str(folder)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        manifests = list(yaml.safe_load_all(ran.stdout))
        for manifest in manifests:
            if manifest["kind"] not in OPERATOR:
                kubernetes_validate.validate(manifest, "1.31", strict=True)
        return {f"{each['kind']} {each['metadata']['name']}": each for each in manifests}

    return built


def pod(manifest: Any) -> Any:
    spec = manifest["spec"].get("jobTemplate", manifest)["spec"]
    return spec["template"]["spec"]


def test_one_pod_on_sqlite_needs_no_secret(build: Build) -> None:
    built = build("sqlite")
    deployment = built["Deployment mailsettings"]
    (only,) = pod(deployment)["containers"]
    required = [
        variable
        for variable in only["env"]
        if not variable.get("valueFrom", {}).get("secretKeyRef", {}).get("optional", True)
    ]

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert {mount["mountPath"] for mount in only["volumeMounts"]} == {"/data", "/tmp"}
    assert not any(variable["name"].endswith(("DATABASE_URL", "ENCRYPTION_KEYS_FILE")) for variable in only["env"])
    assert [each for each in pod(deployment)["volumes"] if "secret" in each] == required == []
    assert not any(key.startswith(("Job", "PodDisruptionBudget")) for key in built)
    assert "PersistentVolumeClaim mailsettings-data" in built


def test_jobs_use_the_volume_of_sqlite_near_its_pod(build: Build) -> None:
    built = build("ingress", "backup", "audit-verify", "prometheus", "sqlite")
    jobs = [pod(each) for each in built.values() if each["kind"] == "CronJob"]
    server = pod(built["Deployment mailsettings"])
    (data,) = [volume for volume in server["volumes"] if volume["name"] == "data"]

    assert len(jobs) == 2
    for job in jobs:
        (only,) = job["containers"]
        secrets = {each["secret"]["secretName"] for each in job["volumes"] if "secret" in each}
        mounts = {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]}
        assert secrets <= {"mailsettings-backup"}
        assert data in job["volumes"]
        assert mounts["data"] == "/data"  # of the image
        assert mounts.keys() == {volume["name"] for volume in job["volumes"]}
        assert "env" not in only
        assert "podAffinity" in job["affinity"]


def test_all_other_parts_fit_together(build: Build) -> None:
    built = build("relay", "ingress", "backup", "audit-verify", "prometheus")
    pods = [pod(each) for each in built.values() if each["kind"] in {"Deployment", "Job", "CronJob"}]
    images = {each["containers"][0]["image"] for each in pods}
    ports = {port["name"] for port in built["Service mailsettings"]["spec"]["ports"]}
    (endpoint,) = built["ServiceMonitor mailsettings"]["spec"]["endpoints"]

    assert {each["metadata"].get("namespace") for key, each in built.items() if "Namespace" not in key} == {
        "mailsettings"
    }
    relay = built["PodMonitor mailsettings-relay"]["spec"]
    template = built["Deployment mailsettings-relay"]["spec"]["template"]
    assert relay["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert {each["port"] for each in relay["podMetricsEndpoints"]} <= {
        port["name"] for port in template["spec"]["containers"][0]["ports"]
    }
    assert images == {f"registry.example.org/mailsettings:{__version__}"}
    assert len(pods) == 5
    assert endpoint["port"] in ports
    assert built["ServiceMonitor mailsettings"]["spec"]["selector"]["matchLabels"].items() <= (
        built["Service mailsettings"]["metadata"]["labels"].items()
    )
