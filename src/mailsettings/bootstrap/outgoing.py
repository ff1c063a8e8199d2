"""Compose what connects to other hosts: the prober, the webhook sender and the client for the issuer."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mailsettings import logs
from mailsettings.network.http import GuardedNetwork, HTTPClient
from mailsettings.network.policy import UNRESTRICTED, EgressPolicy, EgressPreset, Endpoint
from mailsettings.network.proxy import create_network
from mailsettings.network.tls import client_context
from mailsettings.settings import PREFIX, Settings, SettingsInvalid
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.machine_name import MachineName
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import OwnCertificates, TLSContexts
from mailsettings.store.database_url import endpoints
from mailsettings.webhook.sender import WebhookSender, parse_webhook_keys


@contextmanager
def loading_ca_file(setting: str) -> Iterator[None]:
    """Turn an error while the file of *setting* is loaded into `SettingsInvalid`."""
    try:
        yield
    except ssl.SSLError as error:
        raise SettingsInvalid(f"{PREFIX}{setting} is not a readable file of certificates in PEM form.") from error
    except OSError as error:
        raise SettingsInvalid(
            f"{PREFIX}{setting} is not a readable file of certificates in PEM form: {error.strerror}."
        ) from error


MACHINE_NAME = MachineName()
"""The machine's name, shared by all probers of this process."""


def create_egress(settings: Settings) -> EgressPolicy:
    """Return where the prober and the webhook may connect. No allowlist permits the service's own sockets."""
    listening = [*(listener.address for listener in settings.relay_listeners)]
    listening += [address for address in (settings.metrics_listen, settings.relay_status_listen) if address]
    own = [
        *((host, settings.port) for host in settings.hosts),
        *((address.host, address.port) for address in listening),
        *endpoints(settings.database),
    ]
    return EgressPolicy(
        allowed_networks=settings.tested_networks,
        allowed_ports=settings.tested_ports,
        preset=EgressPreset(settings.smtp_egress),
        own=tuple(Endpoint(host, port) for host, port in own),
    )


def create_connector(settings: Settings, egress: EgressPolicy) -> Connector:
    """Return what connects to mail servers within the policy *egress*. Raises `SettingsInvalid`."""
    if settings.smtp_ca_file is not None:
        with loading_ca_file("SMTP_CA_FILE"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(settings.smtp_ca_file)
    trust = TLSContexts(settings.smtp_ca_file)
    return Connector(
        egress,
        ehlo_name=settings.smtp_ehlo_name,
        allow_cleartext_credentials=settings.smtp_allow_cleartext_login,
        trust=trust,
        oauth2=OAuth2Tokens(
            settings.oauth2_authority,
            _network(settings_egress(settings), settings),
            trust,
            settings.outgoing_ca_file,
        ),
        machine_name=MACHINE_NAME,
    )


def create_prober(settings: Settings, egress: EgressPolicy) -> SMTPProber:
    """Return a prober within the policy *egress*; it needs neither database nor keys. Raises `SettingsInvalid`."""
    return SMTPProber(
        create_connector(settings, egress),
        deadline_seconds=settings.smtp_test_timeout_seconds,
        request_id=logs.request_id.get,
    )


def create_relay_prober(settings: Settings) -> SMTPProber:
    """Return a prober for our own relays: their addresses are in the database, and no caller chooses them."""
    trust = OwnCertificates(settings.smtp_ca_file)
    policy = EgressPolicy(UNRESTRICTED.allowed_networks, None)
    connector = Connector(
        policy,
        ehlo_name=settings.smtp_ehlo_name,
        allow_cleartext_credentials=True,  # a login that works once, and a relay that chose a plain listener
        trust=trust,
        oauth2=OAuth2Tokens(settings.oauth2_authority, _network(policy, settings), trust),
        machine_name=MACHINE_NAME,
    )
    return SMTPProber(
        connector,
        deadline_seconds=settings.relay_hold_seconds + settings.smtp_test_timeout_seconds,
        request_id=logs.request_id.get,
    ).without_other_ports()


def create_webhook(settings: Settings, egress: EgressPolicy) -> WebhookSender | None:
    """Return the sender of webhook events, if a webhook is set. Raises `SettingsInvalid`."""
    url, secret = settings.webhook_url, settings.webhook_secret
    if url is None or secret is None:
        return None
    try:
        keys = parse_webhook_keys(secret.get_secret_value())
    except ValueError as problem:
        raise SettingsInvalid(f"{PREFIX}WEBHOOK_SECRET is not valid: {problem}.") from problem
    tls = _client_context(settings, settings.webhook_ca_file, "WEBHOOK_CA_FILE")
    anywhere = replace(egress, allowed_ports=None)  # the list of ports is for mail
    return WebhookSender(url.get_secret_value(), keys, HTTPClient(_network(anywhere, settings), tls))


def create_issuer_client(
    settings: Settings, ca_file: Path | None = None, setting: str = "OIDC_CA_FILE"
) -> HTTPClient:
    """Return the client that fetches keys of an issuer; *setting* names *ca_file*. Raises `SettingsInvalid`."""
    tls = _client_context(settings, ca_file, setting)
    return HTTPClient(_network(settings_egress(settings), settings), tls)


def create_collector_client(settings: Settings) -> HTTPClient:
    """Return a client that reaches the collector of traces; the exporter itself connects on its own."""
    tls = _client_context(settings, None, "OUTGOING_CA_FILE")
    return HTTPClient(_network(settings_egress(settings), settings), tls)


def _client_context(settings: Settings, ca_file: Path | None, setting: str) -> ssl.SSLContext:
    """Return a context that trusts *ca_file* of *setting*, else the authorities for all outgoing requests."""
    with loading_ca_file(setting if ca_file is not None else "OUTGOING_CA_FILE"):
        return client_context(ca_file=ca_file or settings.outgoing_ca_file)


def _network(policy: EgressPolicy, settings: Settings) -> GuardedNetwork:
    proxy = settings.outgoing_proxy
    return create_network(policy, proxy.get_secret_value() if proxy else None, settings_egress(settings))


def settings_egress(settings: Settings) -> EgressPolicy:
    """Return where services in the settings may be: everywhere except metadata servers and our own sockets."""
    networks = (*UNRESTRICTED.allowed_networks, *settings.tested_networks)
    return replace(create_egress(settings), allowed_networks=networks, allowed_ports=None)
