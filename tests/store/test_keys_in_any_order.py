"""Whatever the order of rotating, resealing, dropping, storing, reading and restarting: no secret is lost."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.errors import KeyRefused, SecretUnreadable, StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_check import WrongKey, require_matching_keys
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys
from mailsettings.use_cases.keys import ManageEncryptionKeys

Result = TypeVar("Result")

AS_PEOPLE_TYPE = [
    *(
        "  spaces at both ends  ",
        "\u00a0no-break\u3000",
        "Grüße, Ελλάδα, пароль, 密码",
        "👩‍👩‍👧‍👦🔑",
        "\"quotes\" and 'more'",
    ),
    *("back\\slash \\n \\u0041", "%s {0} $HOME `x` ;--", "x" * 255, "é as e\u0301, not \u00e9", "\u202eoverride"),
]
# Control characters and line breaks are refused before anything is stored.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=255)
PASSWORDS = st.sampled_from(AS_PEOPLE_TYPE) | TEXTS


def with_password(password: str) -> MailServer:
    login = PasswordAuthentication("u", Secret(password))
    return MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@b"), login)


async def password_of(store: SQLStore, server_id: int) -> str:
    async with store.reading() as view:
        stored = await view.mail_servers.find(server_id)
    assert stored is not None
    assert stored.server.secret is not None
    return stored.server.secret.reveal()


@pytest.mark.parametrize("password", AS_PEOPLE_TYPE)
async def test_secret_is_stored_read_and_resealed_byte_for_byte(
    database_url: str, tmp_path: Path, password: str
) -> None:
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys"))
    ring.file.create()
    store = SQLStore(database_url, ring)
    async with store.writing() as work:
        server_id = await work.mail_servers.add(with_password(password))
    stored = await password_of(store, server_id)
    await ManageEncryptionKeys(store, ring).rotate(OPERATOR)
    await ManageEncryptionKeys(store, ring).reseal(OPERATOR)
    resealed = await password_of(store, server_id)
    await store.close()

    assert (stored.encode(), resealed.encode()) == (password.encode(), password.encode())


@settings(deadline=None)
@given(PASSWORDS)
def test_key_file_opens_byte_for_byte_what_it_sealed(password: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ring = LiveKeys(KeyFile(Path(folder) / "sealing-keys"))
        ring.file.create()
        sealed = ring.newest().seal(password, "here")
        ring.add()

        assert ring.newest().open(sealed, "here") == password


class Keys(RuleBasedStateMachine):
    """Two services on one database: the keys change in the file of the first; the second has a copy of it."""

    template: Path
    servers = Bundle("servers")

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="keyring."))
        self.url = f"sqlite:///{shutil.copy(self.template, self.folder / 'mailsettings.db')}"
        self.files = [KeyFile(self.folder / name) for name in ("first", "replica")]
        self.files[0].create()
        shutil.copy(self.files[0].path, self.files[1].path)
        self.services = [SQLStore(self.url, LiveKeys(file)) for file in self.files]
        self.expected: dict[int, str] = {}
        self.ever = {LiveKeys(self.files[0]).newest().key_id}

    @rule(target=servers, password=PASSWORDS, which=st.integers(0, 1))
    def store(self, password: str, which: int) -> int:
        async def add() -> int:
            async with self.services[which].writing() as work:
                return await work.mail_servers.add(with_password(password))

        try:
            server_id = self._run(add())
        except StoreUnavailable:
            assert which == 1  # its only key was dropped
            return 0
        self.expected[server_id] = password
        return server_id

    @rule(server_id=servers, password=PASSWORDS)
    def replace(self, server_id: int, password: str) -> None:
        async def change() -> None:
            async with self.services[0].writing() as work:
                await work.mail_servers.replace(server_id, with_password(password))

        if server_id in self.expected:
            self._run(change())
            self.expected[server_id] = password

    @rule(server_id=servers)
    def read_at_the_replica(self, server_id: int) -> None:
        if server_id in self.expected:
            try:
                assert self._run(password_of(self.services[1], server_id)) == self.expected[server_id]
            except SecretUnreadable:
                assert self._replica_lags()

    @rule()
    def rotate(self) -> None:
        self.ever.add(self._run(self._keys().rotate(OPERATOR)))

    @rule(batch=st.integers(1, 3))
    def reseal(self, batch: int) -> None:
        assert self._run(self._keys().reseal(OPERATOR, batch)).unreadable == ()

    @rule(batch=st.integers(1, 3))
    def begin_to_reseal(self, batch: int) -> None:
        async def once() -> None:
            async with self.services[0].writing() as work:
                await work.encryption_keys.reseal(None, batch)

        self._run(once())

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        key_id = data.draw(st.sampled_from(sorted(self.ever)))
        try:
            self._run(self._keys().drop(OPERATOR, key_id))
        except KeyRefused:
            return
        assert key_id not in LiveKeys(self.files[0]).newest().key_ids

    @rule()
    def distribute(self) -> None:
        shutil.copy(self.files[0].path, self.files[1].path)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        try:
            require_matching_keys(self.url, LiveKeys(self.files[which]))
            self._run(self._restarted(which).register_key())
        except WrongKey:
            assert which == 1
            assert self._replica_lags()

    @invariant()
    def everything_opens_and_is_unchanged(self) -> None:
        for server_id, password in getattr(self, "expected", {}).items():
            assert self._run(password_of(self.services[0], server_id)) == password

    def teardown(self) -> None:
        if hasattr(self, "services"):
            for store in self.services:
                self._run(store.close())
            self.loop.close()
            shutil.rmtree(self.folder)

    def _restarted(self, which: int) -> SQLStore:
        self._run(self.services[which].close())
        self.services[which] = SQLStore(self.url, LiveKeys(self.files[which]))
        return self.services[which]

    def _replica_lags(self) -> bool:
        return self.files[0].path.read_bytes() != self.files[1].path.read_bytes()

    def _keys(self) -> ManageEncryptionKeys:
        return ManageEncryptionKeys(self.services[0], LiveKeys(self.files[0]))

    def _run(self, doing: Awaitable[Result]) -> Result:
        async def run() -> Result:
            return await doing

        return self.loop.run(run())


def test_no_order_of_key_events_loses_a_secret(sqlite_url: str) -> None:
    Keys.template = Path(sqlite_url.removeprefix("sqlite:///"))
    few = settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Keys, settings=few)
