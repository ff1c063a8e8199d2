"""`docker compose --profile scale up`: three replicas that are alike, behind a proxy that knows who is ready."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mailsettings.cli.serving.start import WORKER_EXIT_MARGIN_SECONDS
from mailsettings.server.connection import MAX_HEAD_BYTES, ConnectionLimits
from mailsettings.settings import PREFIX, Settings

from support.compose import ROOT, Config, conditions, read_compose_file

REPLICAS = ["replica1", "replica2", "replica3"]
BEHIND_A_PROXY = {
    f"{PREFIX}{name}" for name in ("TRUSTED_PROXIES", "ALLOWED_HOSTS", "PUBLIC_URL", "DRAIN_TIMEOUT_SECONDS")
}
CADDYFILE = ROOT / "deploy" / "Caddyfile"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return read_compose_file(tmp_path_factory.mktemp("scale"), "--profile", "scale")


@pytest.fixture
def services(whole: Config) -> Mapping[str, Config]:
    found: Mapping[str, Config] = whole["services"]
    return found


@pytest.fixture
def settings(services: Mapping[str, Config], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a replica, as the program reads them."""
    for name, value in services["replica1"]["environment"].items():
        monkeypatch.setenv(name, value)
    return Settings()


def directive(name: str) -> str:
    """What follows *name* in the proxy's configuration, where it stands once."""
    (found,) = re.findall(rf"^\s+{name} (.+?)(?: {{)?$", CADDYFILE.read_text(), flags=re.MULTILINE)
    return str(found)


def seconds(name: str) -> float:
    text = directive(name)

    assert re.fullmatch(r"\d+s", text)
    return float(text[:-1])


def site() -> str:
    (address,) = re.findall(r"^(https://\S+) {$", CADDYFILE.read_text(), flags=re.MULTILINE)
    return str(address)


def test_without_the_profile_nothing_of_it_is_there(whole: Config, tmp_path: Path) -> None:
    plain = read_compose_file(tmp_path)

    assert set(whole["services"]) - set(plain["services"]) == {*REPLICAS, "proxy"}
    assert set(whole["networks"]) - set(plain["networks"]) == {"front"}
    assert plain["services"]["mailsettings"] == whole["services"]["mailsettings"]


def test_the_replicas_are_alike(services: Mapping[str, Config]) -> None:
    first, *others = (services[name] for name in REPLICAS)

    assert others == [first, first]


def test_a_replica_is_the_single_service_behind_a_proxy(services: Mapping[str, Config]) -> None:
    single, replica = services["mailsettings"], services["replica1"]
    environment = {name: value for name, value in replica["environment"].items() if name not in BEHIND_A_PROXY}
    of_their_own = {"ports", "profiles", "environment", "networks", "stop_grace_period"}

    assert single["environment"] == environment
    assert {name: value for name, value in single.items() if name not in of_their_own} == {
        name: value for name, value in replica.items() if name not in of_their_own
    }
    assert set(replica["environment"]) == {*environment, *BEHIND_A_PROXY}


def test_replicas_share_the_keys_and_wait_for_one_migration(services: Mapping[str, Config]) -> None:
    migrations = [name for name, service in services.items() if service["command"] == ["migrate"]]

    assert [volume["source"] for volume in services["replica1"]["volumes"]] == ["keys"]
    assert conditions(services["replica1"]) == {
        "postgres": "service_healthy",
        **dict.fromkeys(migrations, "service_completed_successfully"),
    }
    assert migrations == ["migrate"]


def test_the_proxy_leaves_a_replica_before_it_stops(services: Mapping[str, Config], settings: Settings) -> None:
    allowed = services["replica1"]["stop_grace_period"]

    assert settings.drain_timeout_seconds > seconds("health_interval")
    assert re.fullmatch(r"\d+s", allowed)
    assert (
        int(allowed[:-1])
        > settings.drain_timeout_seconds + settings.grace_timeout_seconds + WORKER_EXIT_MARGIN_SECONDS
    )


def test_only_this_machine_reaches_proxy_and_only_it_replicas(
    services: Mapping[str, Config],
) -> None:
    ports = {
        (port["host_ip"], port["published"], port["target"], name)
        for name in [*REPLICAS, "proxy"]
        for port in services[name].get("ports", [])
    }

    assert {("127.0.0.1", "8443", 8443, "proxy")} == ports
    assert set(services["proxy"]["networks"]) == {"front"}  # nor does the proxy reach the database


def test_the_ports_of_both_profiles_do_not_collide(services: Mapping[str, Config]) -> None:
    published = [port["published"] for service in services.values() for port in service.get("ports", [])]

    assert len(published) == len(set(published))


def test_the_proxy_can_do_no_more_than_it_needs(services: Mapping[str, Config]) -> None:
    proxy = services["proxy"]

    assert (proxy["user"], proxy["read_only"], proxy["cap_drop"]) == ("10001:10001", True, ["ALL"])
    assert proxy["cap_add"] == ["NET_BIND_SERVICE"]  # without which the image's program is not started at all
    assert "no-new-privileges:true" in proxy["security_opt"]
    assert [volume["read_only"] for volume in proxy["volumes"]] == [True]
    assert re.fullmatch(r"caddy:\d+\.\d+\.\d+", proxy["image"])


def test_only_the_proxys_address_is_trusted(whole: Config, settings: Settings) -> None:
    address = ip_address(whole["services"]["proxy"]["networks"]["front"]["ipv4_address"])
    (pool,) = whole["networks"]["front"]["ipam"]["config"]

    assert [ip_network(address)] == list(settings.trusted_proxies)
    assert address in ip_network(pool["subnet"])
    assert address not in ip_network(pool["ip_range"])  # what the others are given


def test_the_proxy_lists_every_replica_with_its_port(services: Mapping[str, Config], settings: Settings) -> None:
    (file,) = services["proxy"]["volumes"]

    assert [f"{name}:{settings.port}" for name in REPLICAS] == directive("reverse_proxy").split()
    assert (file["source"], file["target"]) == (str(CADDYFILE), "/etc/caddy/Caddyfile")


def test_the_proxy_answers_where_the_replicas_claim(services: Mapping[str, Config], settings: Settings) -> None:
    (port,) = services["proxy"]["ports"]
    name, _, number = site().removeprefix("https://").partition(":")

    assert site() == settings.public_url
    assert (name,) == settings.allowed_hosts
    assert int(number) == port["target"] == int(port["published"])
    assert directive("tls") == "internal"


def test_the_proxys_health_check_and_timeouts_fit_the_service() -> None:
    assert directive("health_uri") == "/health/ready"
    assert seconds("health_interval") <= 2
    assert seconds("health_timeout") > 3


def test_the_proxy_closes_idle_connections_before_the_replicas() -> None:
    assert seconds("keepalive") < Settings.model_fields["keep_alive_timeout_seconds"].default


def test_proxy_waits_for_a_request_as_long_as_replicas() -> None:
    assert seconds("read_header") == ConnectionLimits().head
    assert directive("max_header_size") == f"{MAX_HEAD_BYTES // 1024}KiB"
