"""`mailsettings relay`: check everything, and become the relay's process."""

import logging
import os
import pickle
import sys
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, NoReturn

import click

from mailsettings.cli.command import USAGE, Failure, LocalCommandOfService

if TYPE_CHECKING:
    from mailsettings.bootstrap.relay import RelayConfiguration


@click.command(cls=LocalCommandOfService)
@click.option(
    "--dev",
    is_flag=True,
    help="Listen on 127.0.0.1:2587 with a certificate made for development; mail servers may be on loopback.",
)
@click.option("--supervisor", type=int, hidden=True, help="The pipe that ends with the process that started this.")
def relay(*, dev: bool, supervisor: int | None) -> None:
    """Take mail from devices by SMTP, and hand it on to the stored mail servers.

    The settings MAILSETTINGS_RELAY_… choose listeners, certificate and limits. The relay uses the database of
    `serve`, and ends at SIGTERM after the messages in progress.
    """
    if sys.platform == "win32":
        raise Failure("The relay does not run on Windows.", USAGE)
    from mailsettings import logs, settings
    from mailsettings.bootstrap.backend import prepare, require_database
    from mailsettings.bootstrap.relay_configuration import relay_configuration, require_startable
    from mailsettings.cli.running import reporting_errors_of_service
    from mailsettings.server.development_certificate import development_certificate

    settings.override(dev=dev or None)
    with reporting_errors_of_service():
        chosen = settings.read()
        logs.configure(chosen.log_style, chosen.log_level)
        require_database(chosen)
        if chosen.dev and chosen.relay_certificate is None:
            certificate, key = development_certificate(chosen.data_dir)
            settings.override(relay_tls_certificate=certificate, relay_tls_key=key)
            chosen = settings.read()
        configuration = relay_configuration(chosen)
        require_startable(configuration)
        prepare(chosen)
    settings.forget_metrics_directory()  # of the workers of `serve --relay`
    _become(configuration, supervisor)


def _become(configuration: "RelayConfiguration", supervisor: int | None) -> NoReturn:
    """Replace this program by the relay's process, which has the same id and a third less memory.

    The configuration may have the password of the database, so it passes through memory.
    """
    logging.shutdown()
    descriptor = os.memfd_create("relay") if sys.platform == "linux" else _unnamed_file()
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        pickle.dump(configuration, file)
    os.lseek(descriptor, 0, os.SEEK_SET)
    passed = [descriptor] if supervisor is None else [descriptor, supervisor]
    for each in passed:
        os.set_inheritable(each, True)  # noqa: FBT003  # of the library
    command = [sys.executable, "-m", "mailsettings.bootstrap.relay_process", *map(str, passed)]
    os.execv(sys.executable, command)  # noqa: S606  # our own program


def _unnamed_file() -> int:
    descriptor, name = mkstemp()
    Path(name).unlink()
    return descriptor
