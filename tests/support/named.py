"""What the paths of `support.operations` name, next to a mail server: accounts, a client, keys, a device."""

from mailsettings.domain.access import OPERATOR, Account, AccountKind
from mailsettings.domain.device import Device
from mailsettings.domain.message_log import logged
from mailsettings.domain.monitoring import WaitingEvent
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.keys import PREFIX

from support.fakes import PlainPasswords
from support.messages import message
from support.operations import STORED_NAMES

PASSWORD = "correct horse"


async def store_named(store: SQLStore) -> None:
    """Store two accounts with all permissions, another client, and two each of all else."""
    async with store.writing() as work:
        for key in ("1", "2"):
            await work.service_keys.add(f"{PREFIX}{key}", "text")
            await work.outbox.add(WaitingEvent(f"msg_{key}", 5.0, '{"type":"mail_server.failing"}'))
            await work.devices.add(Device(0, f"stored-{key}"), None)
            await work.messages.add([logged(message(int(key)))])
    accounts = ManageAccounts(store, PlainPasswords())
    for kind, name in STORED_NAMES.items():
        await accounts.add(OPERATOR, Account(name, frozenset({"admin"}), kind), PASSWORD)
    await accounts.add(OPERATOR, Account("3", frozenset(), AccountKind.CLIENT), PASSWORD)
