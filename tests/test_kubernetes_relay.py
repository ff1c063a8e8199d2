"""`deploy/kubernetes/relay` is valid by the API's own schemas, hardened as the service, and about this program."""

from collections.abc import Mapping

import kubernetes_validate
import pytest
import yaml

from mailsettings.cli.serving.start import WORKER_EXIT_MARGIN_SECONDS
from mailsettings.domain.listening import ListenAddress
from mailsettings.settings import PREFIX, Settings

from support.compose import ROOT
from support.manifests import FOLDER, KNOWN, Manifest, container, settings_of_all, variables

FILES = FOLDER / "relay"
COMPONENT = yaml.safe_load((FILES / "kustomization.yaml").read_text())
MANIFESTS: Mapping[str, Manifest] = {
    name: yaml.safe_load((FILES / name).read_text()) for name in COMPONENT["resources"]
}
DEPLOYMENT, SERVICE, POLICY = (MANIFESTS[f"{name}.yaml"] for name in ("deployment", "service", "network-policy"))
POD = DEPLOYMENT["spec"]["template"]
(RELAY,) = POD["spec"]["containers"]
PORTS = {port["name"]: port["containerPort"] for port in RELAY["ports"]}
LABELS = POD["metadata"]["labels"]


def given() -> dict[str, str]:
    return {each["name"]: each["value"] for each in RELAY["env"] if "value" in each}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a relay reads from its environment."""
    for name, value in {**settings_of_all(), **given()}.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_of_the_relay_is_valid(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_the_component_has_every_file_of_its_folder() -> None:
    assert {*COMPONENT["resources"], "kustomization.yaml"} == {path.name for path in FILES.iterdir()}
    assert COMPONENT["kind"] == "Component"
    assert "\n#components: [relay]\n" in (FOLDER / "kustomization.yaml").read_text()


def test_the_relays_pod_is_as_hardened_as_the_services() -> None:
    service = container("Deployment")
    keys = ("automountServiceAccountToken", "enableServiceLinks", "securityContext")
    pod = yaml.safe_load((FOLDER / "deployment.yaml").read_text())["spec"]["template"]["spec"]

    assert {key: POD["spec"][key] for key in keys} == {key: pod[key] for key in keys}
    assert RELAY["securityContext"] == service["securityContext"]
    assert {"/tmp"} == {mount["mountPath"] for mount in RELAY["volumeMounts"] if not mount.get("readOnly")}
    assert RELAY["image"] == service["image"]
    assert set(RELAY["resources"]["limits"]) == {"memory"}


def test_it_has_the_database_and_keys_of_the_service() -> None:
    own = {variable["name"]: variable for variable in RELAY["env"]}

    assert set(own) <= KNOWN
    for name in (f"{PREFIX}DATABASE_URL", f"{PREFIX}ENCRYPTION_KEYS_FILE"):
        assert own[name] == variables("Deployment")[name]


def test_ports_are_those_of_the_relays_listeners(settings: Settings) -> None:
    listeners = {listener.kind.value: listener.address.port for listener in settings.relay_listeners}
    outside = {port["port"]: port["targetPort"] for port in SERVICE["spec"]["ports"]}

    assert listeners == {"starttls": PORTS["submission"], "tls": PORTS["submissions"]}
    assert settings.relay_status_listen == ListenAddress("0.0.0.0", PORTS["status"])
    assert outside == {587: "submission", 465: "submissions"}  # RFC 6409 3.1, RFC 8314 3.3
    exposed = f"EXPOSE {PORTS['submission']} {PORTS['submissions']}"
    assert exposed in (ROOT / "Dockerfile").read_text().splitlines()


def test_the_relays_certificate_is_a_mounted_secret(settings: Settings) -> None:
    mounts = {mount["name"]: mount for mount in RELAY["volumeMounts"]}
    certificate, key = settings.relay_certificate or ("", "")

    # The names in a secret of the type kubernetes.io/tls.
    assert (str(certificate), str(key)) == tuple(
        f"{mounts['certificate']['mountPath']}/{name}" for name in ("tls.crt", "tls.key")
    )
    assert "subPath" not in mounts["certificate"]


def test_probes_ask_the_status_listener() -> None:
    asked = {name: RELAY[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}

    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {probe["port"] for probe in asked.values()} == {"status"}


def test_devices_keep_their_addresses_and_their_messages(settings: Settings) -> None:
    takes = settings.drain_timeout_seconds + settings.grace_timeout_seconds + WORKER_EXIT_MARGIN_SECONDS

    assert SERVICE["spec"]["externalTrafficPolicy"] == "Local"
    assert POD["spec"]["terminationGracePeriodSeconds"] > takes
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_only_named_networks_reach_the_relay() -> None:
    ports = [{port["port"] for port in rule["ports"]} for rule in POLICY["spec"]["ingress"]]
    selectors = [DEPLOYMENT["spec"]["selector"], POLICY["spec"]["podSelector"]]

    assert ports == [{"submission", "submissions"}, {"status"}]
    assert all(rule["from"] for rule in POLICY["spec"]["ingress"])
    assert [each["matchLabels"] for each in selectors] == [LABELS, LABELS]
    assert SERVICE["spec"]["selector"] == LABELS
    assert LABELS["app.kubernetes.io/name"] == "mailsettings"  # the policy of the service applies outwards
