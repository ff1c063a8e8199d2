"""`deploy/kubernetes` is valid by the API's own schemas, hardened, and about this program."""

import json
from pathlib import Path

import click
import kubernetes_validate
import pytest
from pydantic import SecretStr

from mailsettings import __version__
from mailsettings.cli import main
from mailsettings.cli.serving.start import WORKER_EXIT_MARGIN_SECONDS
from mailsettings.settings import PREFIX, Settings
from mailsettings.store.encryption.key_file import KeyFile, new_key_line

from support.compose import ROOT
from support.manifests import (
    BY_KIND,
    FOLDER,
    KNOWN,
    KUSTOMIZATION,
    MANIFESTS,
    PODS,
    container,
    settings_of_all,
    variables,
)
from support.service import Caller

OLDEST = "1.31"
SERVER, MIGRATION = "Deployment", "Job"
LIVE, READY = "/health/live", "/health/ready"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a replica reads from the map of settings."""
    for name, value in settings_of_all().items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_is_valid_to_the_last_field(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_every_file_is_part_of_it() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"kustomization.yaml"}
    (settings,) = KUSTOMIZATION["configMapGenerator"]

    assert {*KUSTOMIZATION["resources"], *settings["envs"]} == files
    assert {*BY_KIND} == {"Namespace", MIGRATION, SERVER, "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert BY_KIND["Namespace"]["metadata"]["name"] == KUSTOMIZATION["namespace"]


def test_the_image_is_that_of_this_version() -> None:
    (image,) = KUSTOMIZATION["images"]

    assert {container(kind)["image"] for kind in PODS} == {image["name"]}
    assert image["newTag"] == __version__


@pytest.mark.parametrize("kind", PODS)
def test_a_pod_meets_the_restricted_profile(kind: str) -> None:
    """And less: nothing is writable but /tmp, and no token of the cluster's API is at hand."""
    pod, only = PODS[kind]["spec"], container(kind)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == "10001:10001"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod) == set()
    assert {"/tmp"} >= {mount["mountPath"] for mount in only.get("volumeMounts", []) if not mount.get("readOnly")}


@pytest.mark.parametrize("kind", PODS)
def test_memory_is_bounded_by_what_a_process_may_need(kind: str) -> None:
    resources = container(kind)["resources"]

    assert resources["limits"] == {"memory": "512Mi"}  # docs/security.md; a bound on the processor only slows down
    assert set(resources["requests"]) == {"cpu", "memory"}


@pytest.mark.parametrize("kind", PODS)
def test_every_variable_is_setting_and_no_service_adds_others(kind: str) -> None:
    assert set(variables(kind)) <= KNOWN
    assert set(settings_of_all()) <= KNOWN
    # They look like MAILSETTINGS_PORT=tcp://10.0.0.1:8080, and what is no setting stops the start.
    assert PODS[kind]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("kind", PODS)
def test_secrets_are_referred_to_and_stand_in_no_file(kind: str) -> None:
    secret = {
        f"{PREFIX}{name}".upper()
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    }
    given = {name for name, variable in variables(kind).items() if "value" in variable}

    assert secret
    assert secret & given == set()
    assert secret & set(settings_of_all()) == set()
    assert "Secret" not in BY_KIND
    assert "secretGenerator" not in KUSTOMIZATION


def test_the_migration_is_given_the_database_and_nothing_else() -> None:
    (command,) = container(MIGRATION)["args"]

    assert command in main.list_commands(click.Context(main))
    assert set(variables(MIGRATION)) == {f"{PREFIX}DATABASE_URL"}
    assert variables(MIGRATION)[f"{PREFIX}DATABASE_URL"] == variables(SERVER)[f"{PREFIX}DATABASE_URL"]
    assert PODS[MIGRATION]["spec"]["restartPolicy"] == "Never"


def test_the_settings_are_valid_and_say_who_is_believed(settings: Settings) -> None:
    # Single addresses: a network of pods would let each of them call in another's name.
    assert {network.num_addresses for network in settings.trusted_proxies} == {1}
    assert (settings.public_url,) == tuple(f"https://{name}" for name in settings.allowed_hosts)


async def test_the_probes_ask_what_the_service_answers(api: Caller) -> None:
    probes = {name: container(SERVER)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    answers = {path: (await api(None).send("GET", path)).status_code for path in (LIVE, READY)}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": LIVE,  # neither of these ends a process because a database is away
        "liveness": LIVE,
        "readiness": READY,
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert answers == {LIVE: 200, READY: 200}
    assert container(SERVER)["readinessProbe"]["timeoutSeconds"] > 3


def test_everybody_means_the_same_port() -> None:
    (port,) = container(SERVER)["ports"]
    (service,) = BY_KIND["Service"]["spec"]["ports"]
    (rule,) = BY_KIND["NetworkPolicy"]["spec"]["ingress"]

    assert port == {"name": "http", "containerPort": Settings.model_fields["port"].default}
    assert service["targetPort"] == port["name"]
    assert rule["ports"] == [{"port": port["name"]}]
    assert f"EXPOSE {port['containerPort']}" in (ROOT / "Dockerfile").read_text().splitlines()


def test_network_policies_allow_every_port_of_connection_tests() -> None:
    (rule,) = BY_KIND["NetworkPolicy"]["spec"]["egress"]
    ports = {port["port"] for port in rule["ports"]}

    assert ports == {53, 443, 5432, *Settings.model_fields["smtp_allowed_ports"].default}


def test_the_replicas_are_found_and_the_migration_is_not() -> None:
    labels = {kind: pod["metadata"]["labels"] for kind, pod in PODS.items()}
    selectors = [
        BY_KIND[SERVER]["spec"]["selector"]["matchLabels"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        BY_KIND["Service"]["spec"]["selector"],
        *(spread["labelSelector"]["matchLabels"] for spread in PODS[SERVER]["spec"]["topologySpreadConstraints"]),
    ]
    policy = BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]

    assert selectors == [labels[SERVER]] * len(selectors)
    assert labels[MIGRATION] != labels[SERVER]
    assert all(policy.items() <= found.items() for found in labels.values())


def test_an_upgrade_and_a_drained_node_leave_ready_replicas() -> None:
    spec = BY_KIND[SERVER]["spec"]

    assert spec["replicas"] == 3
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert BY_KIND["PodDisruptionBudget"]["spec"]["maxUnavailable"] < spec["replicas"] - 1


def test_callers_leave_a_pod_before_it_stops(
    settings: Settings,
) -> None:
    takes = settings.drain_timeout_seconds + settings.grace_timeout_seconds + WORKER_EXIT_MARGIN_SECONDS

    assert settings.drain_timeout_seconds >= 5
    assert PODS[SERVER]["spec"]["terminationGracePeriodSeconds"] > takes


def test_the_mounted_keys_are_read_and_reloaded(tmp_path: Path) -> None:
    pod, keys = PODS[SERVER]["spec"], Path(variables(SERVER)[f"{PREFIX}ENCRYPTION_KEYS_FILE"]["value"])
    (volume,) = (volume for volume in pod["volumes"] if "secret" in volume)
    (mount,) = (mount for mount in container(SERVER)["volumeMounts"] if mount["name"] == volume["name"])
    as_mounted = tmp_path / keys.name
    as_mounted.write_text(new_key_line())
    as_mounted.chmod(volume["secret"]["defaultMode"])

    assert mount["mountPath"] == str(keys.parent)
    assert "subPath" not in mount
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    assert len(KeyFile(as_mounted, given=True).read()[1]) == 1


def test_no_manifest_holds_what_looks_like_a_password() -> None:
    text = json.dumps([KUSTOMIZATION, *MANIFESTS.values()]) + json.dumps(settings_of_all())

    assert "://" not in text.replace("https://", "")
    assert "password=" not in text
