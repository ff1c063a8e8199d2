"""A relay as a process of its own, in front of a real mail server, with a device that may submit."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from mailsettings.bootstrap.backend import create_backend
from mailsettings.bootstrap.backend import prepare as prepare_database
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.device import Device
from mailsettings.domain.device_overview import DeviceSettings
from mailsettings.domain.mail_server import MailServer
from mailsettings.settings import Settings
from mailsettings.use_cases.devices.management import ManageDevices

from support import commands
from support.commands import Process
from support.processes import END_SECONDS, clean_environment, free_port

DEVICE = "scanner-3"
SENDER = "scan@example.com"


@dataclass
class RelayProcess:
    """A started relay; its STARTTLS listener is on `port`, and its status at `status`."""

    environment: dict[str, str]
    port: int
    status: str
    output: Path
    process: Process

    @property
    def trust(self) -> ssl.SSLContext:
        """A context that trusts the certificate for development, once the relay runs."""
        return ssl.create_default_context(cafile=self.data_dir / "relay-development.pem")

    @property
    def data_dir(self) -> Path:
        return Path(self.environment["MAILSETTINGS_DATA_DIR"])


def relay_environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """The environment of a relay for development, on free ports of loopback."""
    defaults = {
        "DEV": "true",
        "RELAY_LISTEN": f"starttls://127.0.0.1:{free_port()}",
        "RELAY_STATUS_LISTEN": f"127.0.0.1:{free_port()}",
    }
    return clean_environment(data_dir, **defaults | settings)


async def prepare(environment: dict[str, str], mail_server: MailServer, database_url: str = "") -> str:
    """Create the database, with *mail_server* as default and `DEVICE`; return the secret of the device."""
    folder = Path(environment["MAILSETTINGS_DATA_DIR"])
    settings = Settings(data_dir=folder, database_url=SecretStr(database_url))
    await asyncio.to_thread(prepare_database, settings)
    backend = create_backend(settings)
    try:
        await backend.establish()
        await backend.use_cases.mail_servers.put_default(OPERATOR, Replacement(mail_server))
        wanted = DeviceSettings(Device(0, DEVICE, senders=(SENDER,)))
        _, secret = await ManageDevices(backend.store).add(OPERATOR, wanted)
    finally:
        await backend.close()
    assert secret is not None
    return secret.reveal()


@contextmanager
def relay_started(environment: dict[str, str], *options: str) -> Iterator[RelayProcess]:
    """A relay that may not be ready yet; it is ended if it still runs at the end."""
    port = int(environment["MAILSETTINGS_RELAY_LISTEN"].rpartition(":")[2])
    status = f"http://{environment['MAILSETTINGS_RELAY_STATUS_LISTEN']}"
    output = Path(environment["MAILSETTINGS_DATA_DIR"]).with_suffix(f".{port}.log")
    with output.open("wb") as file, Path(os.devnull).open() as nothing:
        process = commands.start(environment, "relay", *options, stdin=nothing, stdout=file, stderr=file)
    try:
        yield RelayProcess(environment, port, status, output, process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(END_SECONDS)
