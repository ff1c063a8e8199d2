"""Compose the relay's process: without the APIs, the settings' library, password hashing and migrations.

A relay runs next to other programs, and the memory of its process is what it costs. So `cli/relay.py` reads the
settings and checks everything in a first program, which the relay's process then replaces (`relay_process.py`).
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mailsettings.domain.certificates import first_certificate
from mailsettings.domain.device import Network
from mailsettings.domain.listening import ListenAddress, RelayListener
from mailsettings.domain.message_log import MessageRecord
from mailsettings.network.policy import EgressPolicy
from mailsettings.network.proxy import create_network
from mailsettings.relay.incoming.client import Endpoint, RelayParts
from mailsettings.relay.incoming.limits import Counters, RelayLimits
from mailsettings.relay.incoming.listener import RelayServer
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pool import Limits
from mailsettings.relay.outgoing.pools import Outgoing
from mailsettings.relay.services import Services
from mailsettings.server.certificate import OLD_SUBMISSION, SUBMISSION, reloading_tls_context
from mailsettings.server.open_files import raise_open_file_limit
from mailsettings.server.status import Status, serve_status
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.machine_name import MachineName
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.tls import TLSContexts
from mailsettings.store.audit_witness import WITNESS_NAME, WitnessFile
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import LiveKeys, key_file
from mailsettings.telemetry.metrics import sampling
from mailsettings.telemetry.relay import RelayMetrics
from mailsettings.use_cases.audit_witness import AuditWitness
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.devices.logins import DeviceLogins
from mailsettings.use_cases.devices.rates import DeviceRates
from mailsettings.use_cases.devices.test_logins import DeviceTestLogins
from mailsettings.use_cases.relay.alerts import RelayAlerts
from mailsettings.use_cases.relay.message_log import MessageLog
from mailsettings.use_cases.relay.places import RelayPlaces
from mailsettings.use_cases.relay.registration import RelayRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfiguration:
    """What the relay needs of the settings, in types that need no library; `certificate` is a file and its key."""

    database: str = field(repr=False)
    data_dir: Path
    encryption_keys_file: Path | None
    egress: EgressPolicy
    authority_egress: EgressPolicy
    oauth2_authority: str
    outgoing_proxy: str | None = field(repr=False)
    outgoing_ca_file: Path | None
    ca_file: Path | None
    ehlo_name: str | None
    allows_cleartext_login: bool
    listeners: tuple[RelayListener, ...]
    plain_networks: tuple[Network, ...]
    certificate: tuple[Path, Path] | None
    host_name: str | None
    hold_seconds: float
    connections_per_server: int
    limits: RelayLimits
    log_days: int
    status: ListenAddress | None
    has_webhook: bool
    drain_seconds: float
    grace_seconds: float
    log_format: Literal["json", "text"]
    log_level: str


class Relay:
    """One relay, which runs once."""

    def __init__(self, configuration: RelayConfiguration) -> None:
        self._configuration = configuration
        self._holder = f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:16]}"
        self._metrics = RelayMetrics()
        keys = LiveKeys(key_file(configuration.data_dir, configuration.encryption_keys_file))
        self._store = SQLStore(configuration.database, keys)
        self._witness = AuditWitness(self._store, WitnessFile(configuration.data_dir / WITNESS_NAME))
        self._store.on_appended = self._witness.appended
        self._messages = MessageLog(self._store, configuration.log_days)
        self._messages.on_lost = self._metrics.not_logged
        limit = configuration.connections_per_server
        self._places = Places(limit, RelayPlaces(self._store, self._holder, limit))
        self._alerts = RelayAlerts(self._store, self._metrics.server_login, has_webhook=configuration.has_webhook)
        self._is_draining = False

    async def run(self, stopped: asyncio.Event) -> None:
        """Take mail until *stopped* is set, then end within the grace time.

        Raises `OSError` if an address is taken; `StoreUnavailable` or `WrongKey` at the start.
        """
        chosen = self._configuration
        try:
            await self._store.register_key()
            name = await self._host_name()
            outgoing = self._outgoing()
            server = RelayServer(self._parts(outgoing, name))
            await server.start(self._endpoints())
            async with self._background_work(outgoing):
                _log.info("The relay takes mail on %s, as %s.", ", ".join(map(str, chosen.listeners)), name)
                await stopped.wait()
                self._is_draining = True
                await asyncio.sleep(chosen.drain_seconds)
                await server.close(chosen.grace_seconds)
                await outgoing.close(0)
        finally:
            await self._witness.close()
            await self._store.close()

    @asynccontextmanager
    async def _background_work(self, outgoing: Outgoing) -> AsyncIterator[None]:
        """Run what the relay does in addition to taking mail."""
        announced = announced_listeners(self._configuration.listeners)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._messages.running())
            await stack.enter_async_context(self._alerts.running())
            await stack.enter_async_context(self._places.running())
            registration = RelayRegistration(self._store, self._holder, announced, self._own_certificate)
            await stack.enter_async_context(registration.running())
            await stack.enter_async_context(sampling(lambda: self._sample(outgoing)))
            await stack.enter_async_context(self._status_served())
            yield

    @asynccontextmanager
    async def _status_served(self) -> AsyncIterator[None]:
        if self._configuration.status is None:
            yield
            return
        status = Status(self._store.ping, self._metrics.exposition, lambda: self._is_draining)
        async with _running(serve_status(self._configuration.status, status)):
            yield

    def _sample(self, outgoing: Outgoing) -> None:
        usage = outgoing.usage
        self._metrics.sample(waiting=usage.waiting, places=usage.connections, pool=self._store.pool())

    def _parts(self, outgoing: Outgoing, name: str) -> RelayParts:
        metrics = self._metrics
        counters = Counters(
            connections=metrics.connections,
            refused_connection=metrics.refused_connection,
            login=metrics.device_login,
        )
        limits = self._configuration.limits
        fitting = raise_open_file_limit(limits.max_connections)
        return RelayParts(
            services=self._services(),
            outgoing=outgoing,
            host_name=name,
            limits=replace(limits, max_connections=fitting),
            counters=counters,
        )

    def _services(self) -> Services:
        logins = DeviceLogins(self._store, DenialLog(self._store))
        with_tests = DeviceTestLogins(self._store, logins)
        return Services(
            log_in=with_tests.log_in,
            trusted_device=logins.trusted_device,
            current=with_tests.current,
            mail_server=logins.mail_server,
            admit=DeviceRates(self._store).admit,
            note=self._note,
        )

    def _note(self, record: MessageRecord) -> None:
        self._metrics.message(record)
        self._messages.note(record)

    def _outgoing(self) -> Outgoing:
        chosen = self._configuration
        trust = TLSContexts(chosen.ca_file)
        network = create_network(chosen.authority_egress, chosen.outgoing_proxy, chosen.authority_egress)
        connector = Connector(
            chosen.egress,
            ehlo_name=chosen.ehlo_name,
            allow_cleartext_credentials=chosen.allows_cleartext_login,
            trust=trust,
            oauth2=OAuth2Tokens(chosen.oauth2_authority, network, trust, chosen.outgoing_ca_file),
            machine_name=_MACHINE_NAME,
        )
        return Outgoing(
            connector,
            self._places,
            Limits(hold=chosen.hold_seconds),
            on_login_refused=self._alerts.refused,
            on_login_accepted=self._alerts.accepted,
        )

    def _endpoints(self) -> Sequence[Endpoint]:
        files = self._configuration.certificate
        networks = self._configuration.plain_networks
        if files is None:  # then all are plain
            return [Endpoint(listener, networks) for listener in self._configuration.listeners]
        new, old = (reloading_tls_context(*files, profile) for profile in (SUBMISSION, OLD_SUBMISSION))
        return [
            Endpoint(listener, networks, old if listener.old_tls else new)
            for listener in self._configuration.listeners
        ]

    def _own_certificate(self) -> str | None:
        """Return the first certificate of the file, without those of authorities."""
        files = self._configuration.certificate
        try:
            return None if files is None else first_certificate(files[0].read_text(encoding="ascii"))
        except (OSError, ValueError):  # the listeners keep the certificate before it, which the row does not have
            return None

    async def _host_name(self) -> str:
        """Return the name for the greeting, which RFC 5321 4.1.3 allows to be an address."""
        name = self._configuration.host_name or await _MACHINE_NAME.get()
        return name or f"[{own_address()}]"


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run *work* during the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


_MACHINE_NAME = MachineName()
_log = logging.getLogger("mailsettings.relay")


def announced_listeners(listeners: Sequence[RelayListener]) -> Sequence[RelayListener]:
    """Return *listeners* with an address of this machine in place of all addresses, for other machines."""
    return [
        replace(each, address=ListenAddress(own_address(), each.address.port))
        if each.address.reachable != each.address
        else each
        for each in listeners
    ]


def own_address() -> str:
    """Return the address from which this machine reaches others; that of loopback without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737; it sends nothing, and makes the system choose an address
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
