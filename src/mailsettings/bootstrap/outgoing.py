"""Compose what connects to others from the settings: the prober and the webhook, within the egress policy."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mailsettings import logs
from mailsettings.auth import oidc
from mailsettings.network.guard import EgressGuard, HostLookup
from mailsettings.network.policy import EgressPolicy, EgressPreset, Endpoint
from mailsettings.settings import PREFIX, Settings, SettingsInvalid
from mailsettings.smtp.journal import StageListener
from mailsettings.smtp.machine_name import MachineName
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts
from mailsettings.store.engine import endpoints
from mailsettings.webhook.sender import WebhookSender
from mailsettings.webhook.sender import parse_webhook_keys as webhook_keys


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


OWN_NAME = MachineName()
"""The machine's name, shared by all probers of this process."""


def create_egress(settings: Settings) -> EgressPolicy:
    """Return where the prober and the webhook may connect. No allowlist permits the service's own sockets."""
    own = [(settings.host, settings.port), *endpoints(settings.database)]
    return EgressPolicy(
        allowed_networks=settings.tested_networks,
        allowed_ports=settings.tested_ports,
        preset=EgressPreset(settings.smtp_egress),
        own=tuple(Endpoint(host, port) for host, port in own),
    )


def create_prober(settings: Settings, egress: EgressPolicy, on_stage: StageListener | None = None) -> SMTPProber:
    """Return a prober within the policy *egress*; it needs neither database nor keys.

    Raises `SettingsInvalid`.
    """
    if settings.smtp_ca_file is not None:
        with loading_ca_file("SMTP_CA_FILE"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(settings.smtp_ca_file)
    return SMTPProber(
        egress,
        ehlo_name=settings.smtp_ehlo_name,
        deadline_seconds=settings.smtp_deadline_seconds,
        allow_cleartext_credentials=settings.smtp_cleartext_login,
        trust=TLSContexts(settings.smtp_ca_file),
        oauth2=OAuth2Tokens(settings.oauth2_authority, settings.smtp_ca_file),
        machine_name=OWN_NAME,
        request_id=logs.request_id.get,
        on_stage=on_stage,
    )


def create_webhook(settings: Settings, egress: EgressPolicy) -> WebhookSender | None:
    """Return the sender of webhook events, if a webhook is set. Raises `SettingsInvalid`."""
    url, secret = settings.webhook_url, settings.webhook_secret
    if url is None or secret is None:
        return None
    try:
        keys = webhook_keys(secret.get_secret_value())
    except ValueError as problem:
        raise SettingsInvalid(f"{PREFIX}WEBHOOK_SECRET is not valid: {problem}.") from None
    with loading_ca_file("WEBHOOK_CA_FILE"):
        tls = oidc.tls_context(settings.webhook_ca_file)
    lookup = HostLookup()
    guard = EgressGuard(replace(egress, allowed_ports=None), lookup)  # the list of ports is one for mail
    return WebhookSender(url.get_secret_value(), keys, look_up=lookup.addresses, permitted=guard.allows, tls=tls)
