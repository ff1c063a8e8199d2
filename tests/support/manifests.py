"""The manifests of `deploy/kubernetes`, as kustomize finds them: only what its file names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mailsettings.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KNOWN = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}

Manifest = Mapping[str, Any]


def read(name: str) -> Manifest:
    found: Manifest = yaml.safe_load((FOLDER / name).read_text())
    return found


KUSTOMIZATION = read("kustomization.yaml")
MANIFESTS: Mapping[str, Manifest] = {name: read(name) for name in KUSTOMIZATION["resources"]}
BY_KIND: Mapping[str, Manifest] = {manifest["kind"]: manifest for manifest in MANIFESTS.values()}


def pods() -> Iterator[tuple[str, Manifest]]:
    """The pods that are made from a template, by the kind of what makes them."""
    for kind, manifest in BY_KIND.items():
        if "template" in manifest.get("spec", {}):
            yield kind, manifest["spec"]["template"]


PODS: Mapping[str, Manifest] = dict(pods())


def container(kind: str) -> Manifest:
    """The one container of a pod."""
    (found,) = PODS[kind]["spec"]["containers"]
    only: Manifest = found
    return only


def variables(kind: str) -> Mapping[str, Manifest]:
    """What the container says about its environment itself."""
    return {variable["name"]: variable for variable in container(kind)["env"]}


def settings_of_all() -> Mapping[str, str]:
    """What the generated map of settings holds."""
    (generator,) = KUSTOMIZATION["configMapGenerator"]
    lines = [line for name in generator["envs"] for line in (FOLDER / name).read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
