"""A process that only runs monitoring: `python -m support.monitoring_process URL SECONDS`."""

import asyncio
import logging
import signal
import sys

from mailsettings.network.policy import UNRESTRICTED
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.use_cases.monitoring.service import MonitoringService

from support.token_authority import make_tokens

KEY = bytes(range(32))
INTERVAL = 3600


async def main(url: str, lease_seconds: float) -> None:
    """Until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    store = SQLStore(url, Sealer(KEY))
    prober = SMTPProber(
        Connector(
            UNRESTRICTED,
            ehlo_name=None,
            allow_cleartext_credentials=False,
            trust=TLSContexts(),
            oauth2=make_tokens(),
        ),
        deadline_seconds=10,
    )
    async with MonitoringService(
        store, prober, INTERVAL, lease_seconds=lease_seconds, pause_seconds=0.1
    ).running():
        await over.wait()
    await store.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
