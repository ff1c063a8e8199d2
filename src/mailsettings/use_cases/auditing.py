"""Writing the audit log: with the change it tells of in one transaction, or alone for what changed nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.difference import difference
from mailsettings.domain.errors import MailSettingsError, StoreUnavailable
from mailsettings.domain.mail_server import MailServer
from mailsettings.use_cases.ports import AuditLog


class Audited(Protocol):
    """A transaction that can be told of."""

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...


Work = TypeVar("Work", bound=Audited)
Work_co = TypeVar("Work_co", bound=Audited, covariant=True)


class Writable(Protocol[Work_co]):
    """A store, whatever else its transactions offer."""

    def writing(self) -> AbstractAsyncContextManager[Work_co]:
        """A transaction that is committed, durably, when the block ends without an error; one at a time."""
        ...


@dataclass
class AuditedChange(Generic[Work]):
    """A change under way: the transaction to make it in, and what will be said of it.

    `replayed` means that it was made before, and told of then.
    """

    work: Work
    action: Action
    target: str | None
    details: dict[str, object] = field(default_factory=dict)
    replayed: bool = False

    async def write(self, caller: Principal) -> None:
        """Put the entry into the transaction, unless there is one already."""
        if self.replayed:
            return
        record = AuditRecord(caller.name, caller.origin, self.action, self.target, AuditOutcome.DONE, self.details)
        await self.work.audit.append(record)

    def note_difference(self, before: MailServer | None, after: MailServer | None) -> None:
        """Say which settings of a mail server changed, secrets by their labels."""
        self.details.update(difference(before, after))


@asynccontextmanager
async def audited(
    store: Writable[Work], caller: Principal, action: Action, target: str | None = None
) -> AsyncIterator[AuditedChange[Work]]:
    """A transaction that is committed together with its entry; what the domain refuses gets an entry too."""
    try:
        async with store.writing() as work:
            change = AuditedChange(work, action, target)
            yield change
            await change.write(caller)
    except StoreUnavailable:
        raise
    except MailSettingsError as refused:
        await write_audit_entry(
            store, caller, action, target, AuditOutcome.REFUSED, {"problem": error_name(refused)}
        )
        raise


async def write_audit_entry(  # noqa: PLR0913, PLR0917  # the parts of a record
    store: Writable[Audited],
    caller: Principal,
    action: Action,
    target: str | None,
    outcome: AuditOutcome,
    details: Mapping[str, object],
) -> None:
    """An entry about something that changed nothing here."""
    async with store.writing() as work:
        await work.audit.append(AuditRecord(caller.name, caller.origin, action, target, outcome, details))


def error_name(error: MailSettingsError) -> str:
    """What went wrong in a word; the sentence may name what the caller sent."""
    return type(error).__name__
