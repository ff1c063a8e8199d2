"""No stored server may point at the relay or at a status listener: neither for tests nor for the relay itself."""

from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from mailsettings.bootstrap.outgoing import create_egress
from mailsettings.bootstrap.relay_configuration import relay_configuration
from mailsettings.network.guard import EgressGuard, HostLookup
from mailsettings.settings import Settings, read

OWN = {
    "RELAY_LISTEN": "starttls://0.0.0.0:20587,tls://[::]:20465,plain://127.0.0.1:20025",
    "RELAY_PLAIN_NETWORKS": "127.0.0.0/8",
    "RELAY_OLD_TLS": "tls://localhost:20466",
    "RELAY_STATUS_LISTEN": "127.0.0.1:29588",
    "METRICS_LISTEN": "[::1]:29100",
}
PORTS = (20587, 20465, 20025, 20466, 29588, 29100)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings that allow loopback and any port, and listen for both processes."""
    opened = {"DEV": "true", "DATA_DIR": str(tmp_path), "RELAY_TLS_CERTIFICATE": "/x", "RELAY_TLS_KEY": "/x"}
    for name, value in {**OWN, **opened}.items():
        monkeypatch.setenv(f"MAILSETTINGS_{name}", value)
    return read()


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_listeners_of_both_processes_are_closed(settings: Settings, address: str, port: int) -> None:
    configuration = relay_configuration(settings)
    policies = (create_egress(settings), configuration.egress, configuration.authority_egress)
    guards = [EgressGuard(policy, HostLookup()) for policy in policies]

    assert not any([await guard.allows(ip_address(address), port) for guard in guards])
    assert all([await guard.allows(ip_address(address), port + 1000) for guard in guards])


def test_the_relay_requests_tokens_as_the_service_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("MAILSETTINGS_OUTGOING_PROXY", "http://user:canary-17@proxy:3128")
    monkeypatch.setenv("MAILSETTINGS_OUTGOING_CA_FILE", str(authorities))
    configuration = relay_configuration(read())

    assert configuration.outgoing_proxy == "http://user:canary-17@proxy:3128"
    assert configuration.outgoing_ca_file == authorities
    assert "canary" not in repr(configuration)


async def test_default_listeners_of_the_relay_are_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILSETTINGS_SMTP_ALLOWED_NETWORKS", "127.0.0.0/8")
    guard = EgressGuard(create_egress(read()), HostLookup())

    assert [await guard.allows(ip_address("127.0.0.1"), port) for port in (2587, 2465, 2525)] == [
        False,
        False,
        True,
    ]
