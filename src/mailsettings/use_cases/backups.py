"""Makes a backup of everything while requests run, and fills a new database from one.

A backup contains the keys of all secrets, so each one is audited. The first entry is written before anything is
read, and is therefore in the backup too. A restored database continues the audit log of the backup.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord, timestamp
from mailsettings.domain.backup import CopyResult, DatabaseNotEmpty
from mailsettings.domain.values import Secret
from mailsettings.store.backup.restore import VerifiedBackup
from mailsettings.store.backup.snapshot import Snapshot
from mailsettings.store.backup.writer import NewBackup
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import write_audit_entry

ID_BYTES = 8
LINES_PER_BATCH = 500
"""Lines to write before the event loop may run other work, such as a cancellation."""

BackupMaker = Callable[[Path, Secret], AbstractContextManager[NewBackup]]
"""Makes a file; an error before the end of the block leaves none. Raises `BackupNotWritten`."""


class ManageBackups:
    """Makes and restores backups; only the command line calls it, so it checks no permission."""

    def __init__(self, store: SQLStore, snapshot: Callable[[], Snapshot], new_backup: BackupMaker) -> None:
        self._store = store
        self._snapshot = snapshot
        self._new_backup = new_backup

    async def make(self, caller: Principal, path: Path, passphrase: Secret) -> CopyResult:
        """Write everything to the new file *path*; an error leaves no file. Raises a `BackupError`."""
        backup_id = secrets.token_hex(ID_BYTES)
        with self._new_backup(path, passphrase) as file:
            await write_audit_entry(self._store, caller, Action.BACKUP_MAKE, backup_id, AuditOutcome.BEGUN, {})
            copied = await _copy(self._snapshot(), backup_id, file)
            file.publish()
            # Still inside the block: without this entry the file is withdrawn.
            await write_audit_entry(
                self._store, caller, Action.BACKUP_MAKE, backup_id, AuditOutcome.DONE, _details(copied)
            )
        return copied

    async def restore(self, caller: Principal, backup: VerifiedBackup) -> CopyResult:
        """Fill an empty database in one transaction. Raises `DatabaseNotEmpty`."""
        backup_id = backup.about.id
        try:
            async with self._store.writing() as work:
                copied = await work.contents.fill(backup)
                await work.audit.append(_restored(caller, backup_id, copied))
        except DatabaseNotEmpty as refused:
            problem = {"problem": type(refused).__name__}
            await write_audit_entry(
                self._store, caller, Action.BACKUP_RESTORE, backup_id, AuditOutcome.REFUSED, problem
            )
            raise
        return copied


async def _copy(snapshot: Snapshot, backup_id: str, file: NewBackup) -> CopyResult:
    with closing(snapshot.lines(backup_id, timestamp(datetime.now(UTC)))) as lines:
        while some := b"".join(itertools.islice(lines, LINES_PER_BATCH)):
            file.write(some)
            await asyncio.sleep(0)
    return snapshot.copied


def _restored(caller: Principal, backup_id: str, copied: CopyResult) -> AuditRecord:
    done = AuditOutcome.DONE
    return AuditRecord(caller.name, caller.origin, Action.BACKUP_RESTORE, backup_id, done, _details(copied))


def _details(copied: CopyResult) -> dict[str, object]:
    return {"rows": copied.rows, "unreadable": len(copied.unreadable)}
