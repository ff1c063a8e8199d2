"""Read the relay's configuration from the settings, in the program that starts the relay's process."""

from mailsettings.bootstrap.outgoing import create_connector, create_egress, settings_egress
from mailsettings.bootstrap.relay import RelayConfiguration
from mailsettings.domain.listening import ListenerKind
from mailsettings.relay.incoming.limits import RelayLimits
from mailsettings.server.certificate import OLD_SUBMISSION, SUBMISSION, reloading_tls_context
from mailsettings.server.status import require_free
from mailsettings.settings import PREFIX, Settings, SettingsInvalid


def relay_configuration(settings: Settings) -> RelayConfiguration:
    """Return the configuration of the relay. Raises `SettingsInvalid`."""
    needs_tls = any(listener.kind is not ListenerKind.PLAIN for listener in settings.relay_listeners)
    if needs_tls and settings.relay_certificate is None:
        raise SettingsInvalid(
            f"The relay has no certificate for its listeners. Set {PREFIX}RELAY_TLS_CERTIFICATE and "
            f"{PREFIX}RELAY_TLS_KEY, or {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY for the HTTP server too."
        )
    create_connector(settings, create_egress(settings))  # reports a file of authorities that cannot be read
    return RelayConfiguration(
        database=settings.database,
        data_dir=settings.data_dir.absolute(),
        encryption_keys_file=settings.encryption_keys_file,
        egress=create_egress(settings),
        authority_egress=settings_egress(settings),
        oauth2_authority=settings.oauth2_authority,
        outgoing_proxy=settings.outgoing_proxy.get_secret_value() if settings.outgoing_proxy else None,
        outgoing_ca_file=settings.outgoing_ca_file,
        ca_file=settings.smtp_ca_file,
        ehlo_name=settings.smtp_ehlo_name,
        allows_cleartext_login=settings.smtp_allow_cleartext_login,
        listeners=settings.relay_listeners,
        plain_networks=settings.relay_plain_networks,
        certificate=settings.relay_certificate,
        host_name=settings.relay_host_name,
        hold_seconds=settings.relay_hold_seconds,
        connections_per_server=settings.relay_connections_per_server,
        limits=RelayLimits(
            max_message_bytes=settings.relay_max_message_bytes,
            max_connections=settings.relay_max_connections,
            max_connections_per_address=settings.relay_max_connections_per_address,
        ),
        log_days=settings.relay_log_days,
        status=settings.relay_status_listen,
        has_webhook=settings.webhook_url is not None,
        drain_seconds=settings.drain_timeout_seconds,
        grace_seconds=settings.grace_timeout_seconds,
        log_format="text" if settings.dev else settings.log_format,
        log_level=settings.log_level,
    )


def require_startable(configuration: RelayConfiguration) -> None:
    """Check the certificate and the addresses. Raises `CertificateUnusable`, `AddressTaken`."""
    if configuration.certificate is not None:
        for profile in (SUBMISSION, OLD_SUBMISSION):
            reloading_tls_context(*configuration.certificate, profile)
    for listener in configuration.listeners:
        require_free(listener.address)
    if configuration.status is not None:
        require_free(configuration.status)
